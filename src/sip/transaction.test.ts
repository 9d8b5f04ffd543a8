import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  nextTimer,
  startInviteClient,
  startInviteServer,
  startRequestClient,
  startRequestServer,
  step,
  type Input,
  type Output,
  type TimerName,
  type Transaction,
} from './transaction.ts'

/** Every input there is; a table below names those that are legal in a state, all others must move nothing. */
const INPUTS: Readonly<Record<string, Input>> = {
  '100': { kind: 'response', status: 100 },
  '180': { kind: 'response', status: 180 },
  '200': { kind: 'response', status: 200 },
  '299': { kind: 'response', status: 299 },
  '302': { kind: 'response', status: 302 },
  '486': { kind: 'response', status: 486 },
  '699': { kind: 'response', status: 699 },
  cancelled: { kind: 'cancelled' },
  request: { kind: 'request' },
  ack: { kind: 'ack' },
  'respond 180': { kind: 'respond', status: 180 },
  'respond 200': { kind: 'respond', status: 200 },
  'respond 486': { kind: 'respond', status: 486 },
  transport: { kind: 'transport-error' },
  ...Object.fromEntries([...'ABDEFGHIJKLM'].map((timer) => [timer, { kind: 'deadline', timer: timer as TimerName } as const])),
}

/** `state > what comes out`, in short; a timer set is written with its distance in ms. */
function spell(next: Transaction, outputs: readonly Output[], now: number): string {
  const said = outputs.map((output) => {
    switch (output.kind) {
      case 'send':
        return `send ${output.what}`
      case 'deliver':
        return 'deliver'
      case 'failed':
        return `failed ${output.reason}`
    }
  })
  const timers = Object.entries(next.deadlines)
    .sort()
    .map(([name, at]) => `${name}${Number(at) - now}`)
  return `${next.state} [${timers.join(' ')}] ${said.join(', ')}`.trim()
}

type Row = Readonly<Record<string, string>>
interface State {
  readonly name: string
  readonly start: Transaction
  /** Inputs that lead here from `start`. */
  readonly path: readonly string[]
  readonly legal: Row
}

/** All steps are taken at this time; starts and paths happen at 0. */
const NOW = 100

const UDP_CALLING: State = {
  name: 'invite-client over UDP, calling',
  start: startInviteClient(false, 0)[0],
  path: [],
  legal: {
    '100': 'proceeding [] deliver',
    '180': 'proceeding [] deliver',
    '200': 'accepted [M32000] deliver',
    '299': 'accepted [M32000] deliver',
    '302': 'completed [D32000] send ack, deliver',
    '486': 'completed [D32000] send ack, deliver',
    '699': 'completed [D32000] send ack, deliver',
    transport: 'terminated [] failed transport',
    A: 'calling [A1000 B31900] send request',
    B: 'terminated [] failed timeout',
  },
}
const PROCEEDING: Row = {
  '100': 'proceeding [] deliver',
  '180': 'proceeding [] deliver',
  '200': 'accepted [M32000] deliver',
  '299': 'accepted [M32000] deliver',
  cancelled: 'proceeding [B32000]',
  transport: 'terminated [] failed transport',
}
const REJECTED_UDP: Row = {
  '302': 'completed [D32000] send ack, deliver',
  '486': 'completed [D32000] send ack, deliver',
  '699': 'completed [D32000] send ack, deliver',
}
const REJECTED_TCP: Row = {
  '302': 'terminated [] send ack, deliver',
  '486': 'terminated [] send ack, deliver',
  '699': 'terminated [] send ack, deliver',
}
const cancelledRow = (left: number): Row => ({
  ...PROCEEDING,
  '100': `proceeding [B${left}] deliver`,
  '180': `proceeding [B${left}] deliver`,
  B: 'terminated [] failed timeout',
})
const TERMINATED: Row = {}

const INVITE_CLIENT: readonly State[] = [
  UDP_CALLING,
  {
    name: 'invite-client over TCP, calling',
    start: startInviteClient(true, 0)[0],
    path: [],
    legal: { ...PROCEEDING, ...REJECTED_TCP, cancelled: '', transport: 'terminated [] failed transport', B: 'terminated [] failed timeout' },
  },
  { name: 'invite-client over UDP, proceeding', start: UDP_CALLING.start, path: ['180'], legal: { ...PROCEEDING, ...REJECTED_UDP } },
  { name: 'invite-client over TCP, proceeding', start: startInviteClient(true, 0)[0], path: ['100'], legal: { ...PROCEEDING, ...REJECTED_TCP } },
  {
    name: 'invite-client over UDP, cancelled',
    start: UDP_CALLING.start,
    path: ['180', 'cancelled'],
    legal: { ...cancelledRow(31_900), ...REJECTED_UDP },
  },
  {
    name: 'invite-client over UDP, accepted',
    start: UDP_CALLING.start,
    path: ['180', '200'],
    legal: { '200': 'accepted [M31900] deliver', '299': 'accepted [M31900] deliver', M: 'terminated []' },
  },
  {
    name: 'invite-client over TCP, accepted',
    start: startInviteClient(true, 0)[0],
    path: ['200'],
    legal: { '200': 'accepted [M31900] deliver', '299': 'accepted [M31900] deliver', M: 'terminated []' },
  },
  {
    name: 'invite-client over UDP, completed',
    start: UDP_CALLING.start,
    path: ['486'],
    legal: { '302': 'completed [D31900] send ack', '486': 'completed [D31900] send ack', '699': 'completed [D31900] send ack', D: 'terminated []' },
  },
  { name: 'invite-client over TCP, rejected', start: startInviteClient(true, 0)[0], path: ['486'], legal: TERMINATED },
  { name: 'invite-client, timed out', start: UDP_CALLING.start, path: ['B'], legal: TERMINATED },
]

const finals = (next: string): Row => Object.fromEntries(['200', '299', '302', '486', '699'].map((status) => [status, next]))
const ENDS: Row = { transport: 'terminated [] failed transport', F: 'terminated [] failed timeout' }

const REQUEST_CLIENT: readonly State[] = [
  {
    name: 'request-client over UDP, trying',
    start: startRequestClient(false, 0)[0],
    path: [],
    legal: {
      ...finals('completed [K5000] deliver'),
      ...ENDS,
      '100': 'proceeding [E400 F31900] deliver',
      '180': 'proceeding [E400 F31900] deliver',
      E: 'trying [E1000 F31900] send request',
    },
  },
  {
    name: 'request-client over TCP, trying',
    start: startRequestClient(true, 0)[0],
    path: [],
    legal: { ...finals('terminated [] deliver'), ...ENDS, '100': 'proceeding [F31900] deliver', '180': 'proceeding [F31900] deliver' },
  },
  {
    name: 'request-client over UDP, proceeding',
    start: startRequestClient(false, 0)[0],
    path: ['100'],
    legal: {
      ...finals('completed [K5000] deliver'),
      ...ENDS,
      '100': 'proceeding [E400 F31900] deliver',
      '180': 'proceeding [E400 F31900] deliver',
      E: 'proceeding [E4000 F31900] send request',
    },
  },
  {
    name: 'request-client over TCP, proceeding',
    start: startRequestClient(true, 0)[0],
    path: ['100'],
    legal: { ...finals('terminated [] deliver'), ...ENDS, '100': 'proceeding [F31900] deliver', '180': 'proceeding [F31900] deliver' },
  },
  { name: 'request-client over UDP, completed', start: startRequestClient(false, 0)[0], path: ['486'], legal: { K: 'terminated []' } },
  { name: 'request-client over TCP, answered', start: startRequestClient(true, 0)[0], path: ['200'], legal: TERMINATED },
  { name: 'request-client, timed out', start: startRequestClient(false, 0)[0], path: ['F'], legal: TERMINATED },
]

const ANSWER: Row = {
  request: 'proceeding [] send response',
  'respond 180': 'proceeding [] send response',
  'respond 200': 'accepted [G500 H32000 L32000] send response',
  transport: 'terminated [] failed transport',
}
const ACCEPTED: Row = {
  ack: 'accepted [L31900] deliver',
  transport: 'terminated [] failed transport',
  G: 'accepted [G1000 H31900 L31900] send response',
  H: 'terminated [] failed timeout',
  L: 'terminated []',
}

const INVITE_SERVER: readonly State[] = [
  {
    name: 'invite-server over UDP, proceeding',
    start: startInviteServer(false),
    path: ['respond 180'],
    legal: { ...ANSWER, 'respond 486': 'completed [G500 H32000] send response' },
  },
  {
    name: 'invite-server over TCP, proceeding',
    start: startInviteServer(true),
    path: [],
    legal: { ...ANSWER, 'respond 486': 'completed [H32000] send response' },
  },
  { name: 'invite-server over UDP, accepted', start: startInviteServer(false), path: ['respond 200'], legal: ACCEPTED },
  { name: 'invite-server over TCP, accepted: the 2xx repeats there too', start: startInviteServer(true), path: ['respond 200'], legal: ACCEPTED },
  { name: 'invite-server, accepted and acknowledged', start: startInviteServer(false), path: ['respond 200', 'ack'], legal: { L: 'terminated []' } },
  {
    name: 'invite-server over UDP, completed',
    start: startInviteServer(false),
    path: ['respond 486'],
    legal: {
      request: 'completed [G400 H31900] send response',
      ack: 'confirmed [I5000]',
      transport: 'terminated []',
      G: 'completed [G1000 H31900] send response',
      H: 'terminated [] failed timeout',
    },
  },
  {
    name: 'invite-server over TCP, completed',
    start: startInviteServer(true),
    path: ['respond 486'],
    legal: {
      request: 'completed [H31900] send response',
      ack: 'terminated []',
      transport: 'terminated []',
      H: 'terminated [] failed timeout',
    },
  },
  { name: 'invite-server, confirmed', start: startInviteServer(false), path: ['respond 486', 'ack'], legal: { I: 'terminated []' } },
  { name: 'invite-server, unacknowledged for good', start: startInviteServer(false), path: ['respond 200', 'H'], legal: TERMINATED },
]

const REQUEST_SERVER: readonly State[] = [
  {
    name: 'request-server over UDP, trying',
    start: startRequestServer(false, 0),
    path: [],
    legal: {
      'respond 180': 'proceeding [F31900] send response',
      'respond 200': 'completed [J32000] send response',
      'respond 486': 'completed [J32000] send response',
      ...ENDS,
    },
  },
  {
    name: 'request-server over TCP, trying',
    start: startRequestServer(true, 0),
    path: [],
    legal: {
      'respond 180': 'proceeding [F31900] send response',
      'respond 200': 'terminated [] send response',
      'respond 486': 'terminated [] send response',
      ...ENDS,
    },
  },
  {
    name: 'request-server over UDP, proceeding',
    start: startRequestServer(false, 0),
    path: ['respond 180'],
    legal: {
      request: 'proceeding [F31900] send response',
      'respond 180': 'proceeding [F31900] send response',
      'respond 200': 'completed [J32000] send response',
      'respond 486': 'completed [J32000] send response',
      ...ENDS,
    },
  },
  {
    name: 'request-server over UDP, completed',
    start: startRequestServer(false, 0),
    path: ['respond 200'],
    legal: { request: 'completed [J31900] send response', J: 'terminated []' },
  },
  { name: 'request-server over TCP, answered', start: startRequestServer(true, 0), path: ['respond 200'], legal: TERMINATED },
  { name: 'request-server, never answered', start: startRequestServer(false, 0), path: ['F'], legal: TERMINATED },
]

const inputOf = (name: string): Input => {
  const input = INPUTS[name]
  assert.ok(input, `no such input: ${name}`)
  return input
}

for (const state of [...INVITE_CLIENT, ...REQUEST_CLIENT, ...INVITE_SERVER, ...REQUEST_SERVER]) {
  const tx = state.path.reduce<Transaction>((reached, input) => step(reached, inputOf(input), 0)[0], state.start)
  test(`${state.name}: each legal step, and each illegal one moves nothing`, () => {
    for (const [name, input] of Object.entries(INPUTS)) {
      const expected = state.legal[name]
      const [next, outputs] = step(tx, input, NOW)
      if (expected) assert.equal(spell(next, outputs, NOW), expected, name)
      else {
        assert.equal(next, tx, `${name} must leave the very same value`)
        assert.deepEqual(outputs, [], name)
      }
    }
  })
}

/** Runs a transaction forward on a clock made of its own deadlines; nothing sleeps. */
function run(tx: Transaction): string[] {
  const log: string[] = []
  for (let timer = nextTimer(tx); timer; timer = nextTimer(tx)) {
    const [after, outputs] = step(tx, { kind: 'deadline', timer: timer.timer }, timer.at)
    log.push(...outputs.map((output) => `${timer?.at} ${output.kind}`))
    tx = after
  }
  assert.equal(tx.state, 'terminated')
  return log
}
const answered = (tx: Transaction, ...inputs: string[]): Transaction => inputs.reduce((reached, input) => step(reached, inputOf(input), 0)[0], tx)
const at = (kind: string, ...times: number[]): string[] => times.map((time) => `${time} ${kind}`)
/** T1 doubling to T2. */
const CAPPED = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]

const SCHEDULES: readonly (readonly [string, Transaction, readonly string[]])[] = [
  [
    'an INVITE over UDP is sent at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, then times out at 32 s (A, B)',
    startInviteClient(false, 0)[0],
    [...at('send', 500, 1500, 3500, 7500, 15_500, 31_500), '32000 failed'],
  ],
  ['an INVITE over TCP is sent once and times out at 32 s (B)', startInviteClient(true, 0)[0], ['32000 failed']],
  [
    'a cancelled INVITE without an answer is given up 32 s after the CANCEL',
    answered(startInviteClient(false, 0)[0], '180', 'cancelled'),
    ['32000 failed'],
  ],
  ['a rejected INVITE over UDP stays 32 s to acknowledge, silently (D)', answered(startInviteClient(false, 0)[0], '486'), []],
  ['an accepted INVITE stays 32 s for forked answers, silently (M)', answered(startInviteClient(false, 0)[0], '200'), []],
  [
    'a request over UDP is sent at T1 doubling to T2, then times out at 32 s (E, F)',
    startRequestClient(false, 0)[0],
    [...at('send', ...CAPPED), '32000 failed'],
  ],
  ['a request over TCP is sent once and times out at 32 s (F)', startRequestClient(true, 0)[0], ['32000 failed']],
  [
    'a request that was answered 1xx is repeated every T2 (E, F)',
    answered(startRequestClient(false, 0)[0], '100'),
    [...at('send', 500, 4500, 8500, 12_500, 16_500, 20_500, 24_500, 28_500), '32000 failed'],
  ],
  ['an answered request stays T4 for repeats, silently (K)', answered(startRequestClient(false, 0)[0], '200'), []],
  [
    'a 3xx-6xx to an INVITE is repeated at T1 doubling to T2 until 32 s (G, H)',
    answered(startInviteServer(false), 'respond 486'),
    [...at('send', ...CAPPED), '32000 failed'],
  ],
  ['a 3xx-6xx over TCP is sent once and given up at 32 s (H)', answered(startInviteServer(true), 'respond 486'), ['32000 failed']],
  [
    'a 2xx without ACK is repeated at T1 doubling to T2 for 64 T1, over TCP too',
    answered(startInviteServer(true), 'respond 200'),
    [...at('send', ...CAPPED), '32000 failed'],
  ],
  ['an acknowledged 2xx stays until 32 s to absorb repeats, silently (L)', answered(startInviteServer(false), 'respond 200', 'ack'), []],
  ['an acknowledged 486 stays T4 to absorb repeats, silently (I)', answered(startInviteServer(false), 'respond 486', 'ack'), []],
  ['an answered request stays 32 s to answer repeats, silently (J)', answered(startRequestServer(false, 0), 'respond 200'), []],
  ['a request that nobody answers is dropped after 32 s', startRequestServer(false, 0), ['32000 failed']],
]
for (const [title, tx, expected] of SCHEDULES) test(title, () => assert.deepEqual(run(tx), expected))

test('the silent waits have the lengths of the RFC: D 32 s, M 32 s, K 5 s, L 32 s, I 5 s, J 32 s', () => {
  const waits = [
    answered(startInviteClient(false, 0)[0], '486'),
    answered(startInviteClient(false, 0)[0], '200'),
    answered(startRequestClient(false, 0)[0], '200'),
    answered(startInviteServer(false), 'respond 200', 'ack'),
    answered(startInviteServer(false), 'respond 486', 'ack'),
    answered(startRequestServer(false, 0), 'respond 200'),
  ].map(nextTimer)
  assert.deepEqual(waits, [
    { timer: 'D', at: 32_000 },
    { timer: 'M', at: 32_000 },
    { timer: 'K', at: 5_000 },
    { timer: 'L', at: 32_000 },
    { timer: 'I', at: 5_000 },
    { timer: 'J', at: 32_000 },
  ])
})

test('ringing has no limit of its own: after a provisional no timer runs', () => {
  assert.equal(nextTimer(answered(startInviteClient(false, 0)[0], '180')), null)
  assert.equal(nextTimer(answered(startInviteServer(false), 'respond 180')), null)
})
