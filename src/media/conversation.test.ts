/** Whole conversations on a virtual clock: who hears whom in every mode, and what it does to the streams. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { countersOf, removeLeg, setTerms } from './conversation.ts'
import {
  assertContinuous,
  assertHears,
  assertNoOverlap,
  isSound,
  join,
  legIn,
  levelDb,
  makeRig,
  obey,
  phone,
  phoneIn,
  run,
  tableFor,
  termsOf,
  UNHEARD_DB,
  HEARD_DB,
  HZ,
  type Mode,
  type Phone,
  type Rig,
} from './rig.test.ts'
import { CUSHION_MS } from './queue.ts'
import { sequenceAhead, timestampAhead } from './rtp.ts'
import { powerOfCodesDb } from './tone.ts'

const MODES: readonly Mode[] = ['listen', 'whisper', 'barge']

/** Long enough for queues to fill, then to measure. */
const SETTLE_MS = 200
const MEASURE_MS = 400

function settleAndCheck(rig: Rig, modes: Readonly<Record<string, Mode>>, about = ''): void {
  const table = tableFor(modes)
  obey(rig, table)
  run(rig, SETTLE_MS)
  const since = rig.now
  run(rig, MEASURE_MS)
  assertHears(rig, table, since, about)
}

describe('Who hears whom', () => {
  for (const mode of MODES) {
    test(`[C23] In ${mode} every ear hears its row and nothing else`, () => {
      const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
      settleAndCheck(rig, { coach: mode })
      for (const ear of rig.phones.keys()) assertContinuous(rig, ear)
    })
  }

  for (const from of MODES) {
    for (const to of MODES.filter((mode) => mode !== from)) {
      test(`[C23] From ${from} to ${to} the sound changes, and every stream goes on`, () => {
        const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
        settleAndCheck(rig, { coach: from }, 'before')
        settleAndCheck(rig, { coach: to }, 'after')
        for (const ear of rig.phones.keys()) assertContinuous(rig, ear)
      })
    }
  }

  for (const first of MODES) {
    for (const second of MODES) {
      test(`[C23] Two supervisors at once: one in ${first}, one in ${second}`, () => {
        const rig = makeRig(phone('agent'), phone('customer'), phone('coach'), phone('second'))
        settleAndCheck(rig, { coach: first, second })
        for (const ear of rig.phones.keys()) assertContinuous(rig, ear)
      })
    }
  }

  test('[C23] A supervisor who joins late and leaves again', () => {
    const rig = makeRig(phone('agent'), phone('customer'))
    settleAndCheck(rig, {})
    join(rig, phone('coach'))
    settleAndCheck(rig, { coach: 'whisper' })
    removeLeg(rig.call, legIn(rig, 'coach'), rig.now)
    rig.phones.delete('coach')
    settleAndCheck(rig, {})
    for (const ear of rig.phones.keys()) assertContinuous(rig, ear)
  })

  test('[C20] A whisper begins with the next packet of the conversation, or within 4 ms more, whatever the phases of the phones', () => {
    for (let phaseMs = 0; phaseMs < 20; phaseMs++) {
      for (let offsetMs = 0; offsetMs < 20; offsetMs++) {
        const rig = makeRig(phone('agent'), phone('customer', { phaseMs: 0 }), phone('coach', { phaseMs }))
        obey(rig, tableFor({ coach: 'listen' }))
        run(rig, 40 + offsetMs)
        obey(rig, tableFor({ coach: 'whisper' }))
        const since = rig.now
        run(rig, 60)
        const first = phoneIn(rig, 'agent').heard.find(({ at, payload }) => at >= since && powerOfCodesDb('pcmu', payload, HZ.coach) > HEARD_DB)
        assert.ok(first && first.at - since <= 20 + CUSHION_MS, `phase ${phaseMs}, offset ${offsetMs}: ${first && first.at - since} ms`)
        assertContinuous(rig, 'agent')
      }
    }
  })

  test('[C23] What a supervisor said while he listened is not heard later: at most the frame that was on its way', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    settleAndCheck(rig, { coach: 'listen' })
    phoneIn(rig, 'coach').isTalking = false
    run(rig, 30)
    obey(rig, tableFor({ coach: 'barge' }))
    const since = rig.now
    run(rig, 300)
    for (const ear of ['agent', 'customer']) assert.ok(levelDb(rig, ear, 'coach', since) < UNHEARD_DB, ear)
  })

  test('[C23] No sample of a supervisor reaches the customer after barge is left, not even what was queued', () => {
    for (const next of ['listen', 'whisper'] as const) {
      const rig = makeRig(phone('agent', { isTalking: false }), phone('customer'), phone('coach'))
      settleAndCheck(rig, { coach: 'barge' })
      obey(rig, tableFor({ coach: next }))
      const since = rig.now
      run(rig, 300)
      assert.equal(phoneIn(rig, 'customer').heard.filter((heard) => heard.at >= since).length, 0, next)
    }
  })

  test('[C23] A leg without a row is silent both ways, even where another row names it', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    obey(rig, { agent: ['customer', 'coach'], customer: ['agent', 'coach'] })
    const since = rig.now
    run(rig, 400)
    assertHears(rig, { agent: ['customer'], customer: ['agent'] }, since)
  })
})

describe('Laws and packet times', () => {
  const laws = ['pcmu', 'pcma'] as const
  for (const agent of laws) {
    for (const customer of laws) {
      for (const coach of laws) {
        test(`Agent ${agent}, customer ${customer}, coach ${coach}: everybody is understood in every mode`, () => {
          const rig = makeRig(phone('agent', { law: agent }), phone('customer', { law: customer }), phone('coach', { law: coach }))
          for (const mode of MODES) settleAndCheck(rig, { coach: mode }, mode)
          for (const { heard, law } of rig.phones.values()) {
            assert.ok(heard.every(({ packet }) => packet.payloadType === (law === 'pcmu' ? 0 : 8)))
          }
        })
      }
    }
  }

  for (const conversation of [10, 20, 30, 40, 60]) {
    for (const coach of [10, 20, 30, 40, 60]) {
      test(`Packets of ${conversation} ms in the call and ${coach} ms at the coach`, () => {
        const rig = makeRig(
          phone('agent', { ptimeMs: conversation, phaseMs: 3 }),
          phone('customer', { ptimeMs: 20 }),
          phone('coach', { ptimeMs: coach, phaseMs: 7 }),
        )
        for (const mode of MODES) settleAndCheck(rig, { coach: mode }, mode)
        for (const ear of rig.phones.keys()) assertContinuous(rig, ear)
        const lengths = new Set(phoneIn(rig, 'coach').heard.map(({ payload }) => payload.length))
        assert.deepEqual([...lengths], [coach * 8], 'the coach gets packets of the time that was agreed')
      })
    }
  }

  test('Once they run, queues of equal packet times neither overflow nor run dry', () => {
    for (const phaseMs of [0, 1, 5, 9, 10, 11, 19]) {
      const rig = makeRig(phone('agent'), phone('customer'), phone('coach', { phaseMs }))
      settleAndCheck(rig, { coach: 'barge' })
      run(rig, 5000)
      for (const leg of rig.call.legs.values()) {
        const { overflows, starvations } = countersOf(leg)
        assert.deepEqual({ overflows, starvations }, { overflows: 0, starvations: 0 }, `${leg.id} at phase ${phaseMs}`)
      }
    }
  })
})

describe('Silent and lossy parties', () => {
  for (const mode of ['whisper', 'barge'] as const) {
    test(`[C23] The customer falls silent: the agent still hears the coach (${mode}), and all goes on when the customer is back`, () => {
      const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
      settleAndCheck(rig, { coach: mode }, 'before')
      for (const isTalking of [false, true, false, true]) {
        phoneIn(rig, 'customer').isTalking = isTalking
        settleAndCheck(rig, { coach: mode }, isTalking ? 'talking' : 'silent')
      }
      for (const ear of rig.phones.keys()) assertContinuous(rig, ear)
    })
  }

  test('The customer never sends at all: the agent hears the coach, the coach hears the agent', () => {
    const rig = makeRig(phone('agent'), phone('customer', { isTalking: false }), phone('coach'))
    settleAndCheck(rig, { coach: 'whisper' })
    assertContinuous(rig, 'agent')
  })

  test('Nobody hears anything twice while packets and clock take turns: the coach is as loud as before', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    obey(rig, tableFor({ coach: 'whisper' }))
    run(rig, 1000)
    const customer = phoneIn(rig, 'customer')
    const start = rig.now
    for (let i = 0; i < 40; i++) {
      customer.isTalking = i % 2 === 0
      run(rig, 100 + (i % 7) * 3)
    }
    const elapsedMs = rig.now - start
    const samples = phoneIn(rig, 'agent')
      .heard.filter(({ at }) => at >= start)
      .reduce((sum, { payload }) => sum + payload.length, 0)
    assert.ok(samples <= (elapsedMs + 60) * 8, `${samples} samples in ${elapsedMs} ms`)
    assertContinuous(rig, 'agent')
  })

  test('What the clock pushed forward is given back: the call is not later than without a coach', () => {
    const phones = () => [phone('agent'), phone('customer')]
    const plain = makeRig(...phones())
    const coached = makeRig(...phones(), phone('coach'))
    obey(plain, tableFor({}))
    obey(coached, tableFor({ coach: 'whisper' }))
    for (let i = 0; i < 31; i++) {
      for (const rig of [plain, coached]) {
        phoneIn(rig, 'customer').isTalking = i % 2 === 0
        run(rig, 200 + i * 7)
      }
    }
    const last = (rig: Rig) => phoneIn(rig, 'agent').heard.findLast(isSound)?.packet.timestamp ?? 0
    assert.ok(Math.abs(timestampAhead(last(coached), last(plain))) <= 480)
  })

  const fates: readonly (readonly [string, Phone['fate']])[] = [
    ['lost', (n) => (n % 10 === 3 ? 'lost' : 'arrives')],
    ['doubled', (n) => (n % 10 === 3 ? 'doubled' : 'arrives')],
    ['swapped', (n) => (n % 10 === 3 ? 'swapped' : 'arrives')],
  ]
  for (const [name, fate] of fates) {
    for (const mode of MODES) {
      test(`A tenth of the customer's packets is ${name} in ${mode}: everybody is still heard, and numbers tell the truth`, () => {
        const rig = makeRig(phone('agent'), phone('customer', { fate }), phone('coach'))
        obey(rig, tableFor({ coach: mode }))
        run(rig, 1000)
        const since = rig.now
        run(rig, 2000)
        for (const [ear, mouths] of Object.entries(tableFor({ coach: mode }))) {
          for (const mouth of mouths) assert.ok(levelDb(rig, ear, mouth, since) > HEARD_DB, `${ear} hears ${mouth}`)
        }
        assert.ok(levelDb(rig, 'customer', 'coach', since) < UNHEARD_DB || mode === 'barge')
        assertTruthful(rig, name)
        const agent = legIn(rig, 'agent')
        if (name === 'doubled') assert.equal(countersOf(agent).starvations, 0, 'a second copy takes nothing from the coach')
      })
    }
  }

  /** The agent's stream shows exactly what happened to the customer's. */
  function assertTruthful(rig: Rig, name: string): void {
    const numbers = phoneIn(rig, 'agent').heard.map(({ packet }) => packet.sequence)
    const steps = numbers.slice(1).map((number, i) => sequenceAhead(number, numbers[i] ?? 0))
    const count = (step: number) => steps.filter((each) => each === step).length
    const expected = { lost: count(2), doubled: count(0), swapped: count(-1) }[name] ?? 0
    assert.ok(expected >= 14 && expected <= 16, `${name}: ${expected}`)
    const lost = legIn(rig, 'customer')
    assert.equal(countersOf(lost).lostIn > 0, name === 'lost')
  }

  test('Jitter on every side: the supervisor hears both, the queues stay bounded', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach', { ptimeMs: 30 }))
    obey(rig, tableFor({ coach: 'barge' }))
    for (let i = 0; i < 100; i++) {
      // Bursts: a phone sends nothing for a while, then catches up within a few milliseconds.
      for (const each of rig.phones.values()) each.phaseMs = (each.phaseMs + (i % 3) * 5) % each.ptimeMs
      run(rig, 50)
      for (const leg of rig.call.legs.values()) {
        for (const queue of leg.queues.values()) assert.ok(queue.length <= 640, `${queue.length}`)
      }
    }
    for (const ear of rig.phones.keys()) assertNoOverlap(rig, ear)
  })
})

describe('Hold and change', () => {
  test('A held phone gets nothing, and gets an unbroken stream with a marker when it is back', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    settleAndCheck(rig, { coach: 'whisper' })
    const agent = phoneIn(rig, 'agent')
    setTerms(rig.call, legIn(rig, 'agent'), termsOf(agent, { phoneReceives: false }), rig.now)
    const held = agent.heard.length
    run(rig, 2000)
    assert.equal(agent.heard.length, held)
    setTerms(rig.call, legIn(rig, 'agent'), termsOf(agent), rig.now)
    settleAndCheck(rig, { coach: 'whisper' }, 'resumed')
    assert.equal(agent.heard[held]?.packet.marker, true)
    assertContinuous(rig, 'agent')
    const pause = timestampAhead(agent.heard[held]?.packet.timestamp ?? 0, agent.heard[held - 1]?.packet.timestamp ?? 0)
    assert.ok(Math.abs(pause - 2000 * 8) < 1000, 'time went on meanwhile')
  })

  test('What a phone sends that said it would not is dropped', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    settleAndCheck(rig, { coach: 'barge' })
    setTerms(rig.call, legIn(rig, 'customer'), termsOf(phoneIn(rig, 'customer'), { phoneSends: false }), rig.now)
    const since = rig.now
    run(rig, 400)
    assert.ok(levelDb(rig, 'agent', 'customer', since) < UNHEARD_DB)
    assert.ok(levelDb(rig, 'coach', 'customer', since) < UNHEARD_DB)
    assert.ok(levelDb(rig, 'agent', 'coach', since) > HEARD_DB)
    assertContinuous(rig, 'agent')
  })

  test('A new SSRC, as after a re-INVITE, is no break for the listener', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    settleAndCheck(rig, { coach: 'barge' })
    const customer = phoneIn(rig, 'customer')
    customer.ssrc = 77
    customer.sequence = 5
    customer.timestamp = 123456
    settleAndCheck(rig, { coach: 'barge' })
    assertContinuous(rig, 'agent')
  })

  test('A law that changes in mid-call changes the payload type, not the stream', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    settleAndCheck(rig, { coach: 'whisper' })
    for (const id of ['coach', 'agent'] as const) {
      phoneIn(rig, id).law = 'pcma'
      setTerms(rig.call, legIn(rig, id), termsOf(phoneIn(rig, id)), rig.now)
    }
    settleAndCheck(rig, { coach: 'whisper' })
    assertContinuous(rig, 'agent')
  })

  test('A clock that stalled skips what it missed instead of sending a burst', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    settleAndCheck(rig, { coach: 'listen' })
    const before = phoneIn(rig, 'coach').heard.length
    rig.now += 1000
    run(rig, 100)
    assert.ok(phoneIn(rig, 'coach').heard.length - before < 10)
    const leg = rig.call.legs.get('coach')
    assert.ok(leg && countersOf(leg).lateTicks >= 45)
    assertContinuous(rig, 'coach')
  })
})
