import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changeMode, hangUp } from '../../src/domain/commands.ts'
import type { Call } from '../../src/domain/call.ts'
import { DomainError } from '../../src/domain/errors.ts'
import type { Leg } from '../../src/domain/leg.ts'
import { customerLeg, liveCall, monitorLeg } from '../../test/data/contract/sample-call.ts'
import { LEG_VERBS, legCan, type LegVerb } from './leg-can.ts'

const NOW = 0
const ORIGINS = ['outbound', 'outbound-dial', 'inbound', 'monitor'] as const
const STATES: Readonly<Record<string, Leg['state']>> = {
  ringing: { status: 'ringing' },
  answered: { status: 'answered', answeredAt: NOW, memory: null },
  completed: { status: 'ended', endedAt: NOW, answeredAt: NOW, cause: 'completed' },
  busy: { status: 'ended', endedAt: NOW, answeredAt: null, cause: 'busy' },
  'no-answer': { status: 'ended', endedAt: NOW, answeredAt: null, cause: 'no-answer' },
  failed: { status: 'ended', endedAt: NOW, answeredAt: null, cause: 'failed' },
  canceled: { status: 'ended', endedAt: NOW, answeredAt: null, cause: 'canceled' },
}

/** What the rules of the server say themselves. */
function serverAllows(leg: Leg, verb: LegVerb): boolean {
  const call: Call = { ...liveCall, legs: [...liveCall.legs, leg] }
  try {
    if (verb === 'hangup') hangUp(call, leg.id, NOW)
    else changeMode(call, leg.id, verb, NOW)
    return true
  } catch (error) {
    assert.ok(error instanceof DomainError && error.code === 'leg-not-found', String(error))
    return false
  }
}

for (const Origin of ORIGINS) {
  for (const [name, state] of Object.entries(STATES)) {
    test(`[C20] [C21] what may be done with ${Origin}, ${name}, is what the server would say`, () => {
      const model = Origin === 'monitor' ? monitorLeg : { ...customerLeg, id: monitorLeg.id, origin: Origin }
      const can = legCan({ Origin, Status: state.status === 'ended' ? state.cause : 'in-progress' })
      for (const verb of LEG_VERBS) assert.equal(can[verb].allowed, serverAllows({ ...model, state }, verb), verb)
    })
  }
}

test('what may not be done has a reason that a person can read', () => {
  const ended = legCan({ Origin: 'monitor', Status: 'busy' }).barge
  const party = legCan({ Origin: 'outbound', Status: 'in-progress' }).whisper
  assert.deepEqual(
    [ended, party].map((can) => (can.allowed ? null : can.reason)),
    ['ended', 'not-a-supervisor'],
  )
  for (const can of [ended, party]) assert.match(can.allowed ? '' : can.text, /^[A-Z].{10,}[^.]$/)
})
