/** The call of the vendor's examples, as values, and the examples themselves. */
import { readFileSync } from 'node:fs'
import type { Address } from '../../../src/domain/address.ts'
import type { Call } from '../../../src/domain/call.ts'
import type { AccountId, CallId, LegId } from '../../../src/domain/ids.ts'
import type { Leg } from '../../../src/domain/leg.ts'
import { SILENT, soundBefore } from '../../../src/domain/sound.ts'

export const IST = 'Asia/Kolkata'

/** A moment as an Indian clock shows it, e.g. `2020-12-22 17:31:06`. */
export const ist = (date: string): number => Date.parse(`${date.replace(' ', 'T')}+05:30`)

/** An example, as text. */
export const example = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8')

/** A JSON example without its white space: keys in the example's order. */
export const exampleJson = (name: string): string => JSON.stringify(JSON.parse(example(name)))

export const number = (text: string): Address => text as Address
export const legId = (text: string): LegId => text as LegId

const base = {
  monitoring: null, lastAction: '', ringMs: 30_000, limitMs: 14_400_000, subscription: null, customField: null, rate: null,
} as const

export const agentLeg: Leg = {
  ...base, id: legId('11111111111111111111111111111aaa'), address: number('+919876530240'), origin: 'outbound',
  createdAt: ist('2020-12-22 17:31:06'), updatedAt: ist('2020-12-22 17:31:12'), state: { status: 'answered', answeredAt: ist('2020-12-22 17:31:12'), memory: null },
}

export const customerLeg: Leg = {
  ...base, id: legId('22222222222222222222222222222bbb'), address: number('+919876538847'), origin: 'outbound-dial',
  createdAt: ist('2020-12-22 17:31:13'), updatedAt: ist('2020-12-22 17:31:13'), state: { status: 'ringing' },
}

export const monitorLeg: Leg = {
  ...base, id: legId('33333333333333333333333333333ccc'), address: number('+919876500001'), origin: 'monitor',
  monitoring: { mode: 'barge', targetLegId: agentLeg.id, since: null, by: null, reasonCode: null }, lastAction: 'barge',
  createdAt: ist('2020-12-22 17:57:40'), updatedAt: ist('2020-12-22 17:57:40'), state: { status: 'ringing' },
}

export const liveCall: Call = {
  id: 'c5797dcbaaeed7678c4062a4a3ed2f8a' as CallId, accountId: 'exotel30m' as AccountId, direction: 'outbound-api',
  from: agentLeg.address, to: customerLeg.address, callerId: number('+918040404890'), agentLegId: agentLeg.id,
  createdAt: ist('2020-12-22 17:31:06'), updatedAt: ist('2020-12-22 17:31:13'), ringMs: 30_000, limitMs: 14_400_000,
  subscription: null, customField: null, state: { status: 'live' }, sound: soundBefore(SILENT), retriesLeft: 0, tones: null, endReason: null, legs: [agentLeg, customerLeg],
}

const endedAt = ist('2017-03-03 10:49:50')
const completed = (leg: Leg, seconds: number): Leg => ({ ...leg, updatedAt: endedAt, state: { status: 'ended', endedAt, answeredAt: endedAt - seconds * 1000, cause: 'completed' } })

/** The example of a call's details: 21 seconds of the agent, 8 of them with the customer. */
export const endedCall: Call = {
  ...liveCall, createdAt: ist('2017-03-03 10:48:33'), updatedAt: endedAt, state: { status: 'ended', outcome: 'completed', endedAt },
  legs: [completed(agentLeg, 21), completed(customerLeg, 8)],
}
