import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NO_BODY, type SipRequest } from '../../sip/message.ts'
import { writeUri } from '../../sip/uri.ts'
import type { Hop } from '../../sip/user-agent.ts'
import { DEFAULT_EXPIRES_S, makeRegistrar, MAX_BINDINGS, MAX_EXPIRES_S, type Registrar } from './registrar.ts'

const hop = (port: number, transport: 'udp' | 'tcp' = 'udp'): Hop => ({ transport, host: '192.0.2.7', port })

interface Asked {
  readonly contact?: readonly string[]
  readonly expires?: string
  readonly callId?: string
  readonly cseq?: number
}

let lastCseq = 0
function registerRequest({ contact = [], expires, callId = 'call-1', cseq = ++lastCseq }: Asked): SipRequest {
  const headers = [
    { name: 'Call-ID', value: callId },
    { name: 'CSeq', value: `${cseq} REGISTER` },
    ...contact.map((value) => ({ name: 'Contact', value })),
    ...(expires === undefined ? [] : [{ name: 'Expires', value: expires }]),
  ]
  return { kind: 'request', method: 'REGISTER', uri: 'sip:house', headers, body: NO_BODY }
}

const ask = (registrar: Registrar, asked: Asked, now = 0, from = hop(5070)) => registrar.register(registerRequest(asked), 'priya', from, now)
const where = (registrar: Registrar, now: number): readonly string[] => registrar.bindings('priya', now).map((binding) => writeUri(binding.contact))
const listed = (result: ReturnType<Registrar['register']>): readonly string[] => result.headers.map((header) => header.value)

test('a phone is reached where its REGISTER came from, under the name it gave itself', () => {
  const registrar = makeRegistrar()
  const result = ask(registrar, { contact: ['<sip:priya@10.0.0.5:5060;ob>;expires=600'] }, 1000, hop(40_001))
  assert.deepEqual(result, { kind: 'registered', headers: [{ name: 'Contact', value: '<sip:priya@10.0.0.5:5060;ob>;expires=600' }] })
  const [binding] = registrar.bindings('priya', 1000)
  assert.deepEqual(binding?.hop, hop(40_001))
  assert.equal(binding?.expiresAt, 601_000)
  assert.deepEqual(registrar.bindings('ravi', 1000), [])
})

const LIVES: readonly [Asked, number | 423][] = [
  [{ contact: ['<sip:a@h>'] }, DEFAULT_EXPIRES_S],
  [{ contact: ['<sip:a@h>'], expires: '120' }, 120],
  [{ contact: ['<sip:a@h>;expires=300'], expires: '120' }, 300],
  [{ contact: ['<sip:a@h>;expires=60'] }, 60],
  [{ contact: ['<sip:a@h>;expires=59'] }, 423],
  [{ contact: ['<sip:a@h>'], expires: '1' }, 423],
  [{ contact: ['<sip:a@h>;expires=99999999999'] }, MAX_EXPIRES_S],
  [{ contact: ['<sip:a@h>;expires=nonsense'] }, DEFAULT_EXPIRES_S],
]
for (const [asked, life] of LIVES) {
  test(`${asked.contact} with Expires ${asked.expires ?? 'absent'} lives ${life === 423 ? 'not: 423' : `${life} s`}`, () => {
    const registrar = makeRegistrar()
    const result = ask(registrar, asked)
    if (life === 423) {
      assert.deepEqual(result, { kind: 'refused', status: 423, headers: [{ name: 'Min-Expires', value: '60' }] })
      assert.deepEqual(where(registrar, 0), [])
    } else {
      assert.deepEqual(listed(result), [`<sip:a@h>;expires=${life}`])
      assert.equal(where(registrar, life * 1000 - 1).length, 1)
      assert.equal(where(registrar, life * 1000).length, 0, 'an expired binding vanishes')
      assert.equal(registrar.all(life * 1000).length, 0)
    }
  })
}

test('a refresh moves the binding to where it came from now, and lists the time left', () => {
  const registrar = makeRegistrar()
  ask(registrar, { contact: ['<sip:a@h>;expires=100'] }, 0, hop(1))
  assert.deepEqual(listed(ask(registrar, { contact: [] }, 40_500)), ['<sip:a@h>;expires=60'])
  ask(registrar, { contact: ['<sip:a@H>;expires=100'] }, 50_000, hop(2))
  assert.deepEqual(
    registrar.bindings('priya', 50_000).map((binding) => binding.hop.port),
    [2],
  )
})

test('several phones of one name are found, the newest first', () => {
  const registrar = makeRegistrar()
  ask(registrar, { contact: ['<sip:desk@h>'], callId: 'desk' }, 0)
  ask(registrar, { contact: ['<sip:soft@h>'], callId: 'soft' }, 1)
  assert.deepEqual(where(registrar, 2), ['sip:soft@h', 'sip:desk@h'])
  ask(registrar, { contact: ['<sip:desk@h>'], callId: 'desk' }, 3)
  assert.deepEqual(where(registrar, 4), ['sip:desk@h', 'sip:soft@h'])
})

test('one phone too many makes the oldest give way', () => {
  const registrar = makeRegistrar()
  for (let at = 0; at <= MAX_BINDINGS; at++) ask(registrar, { contact: [`<sip:phone${at}@h>`], callId: `c${at}` }, at)
  assert.equal(where(registrar, 100).length, MAX_BINDINGS)
  assert(!where(registrar, 100).includes('sip:phone0@h'))
})

test('expires=0 removes that contact alone', () => {
  const registrar = makeRegistrar()
  ask(registrar, { contact: ['<sip:a@h>', '<sip:b@h>'] })
  const result = ask(registrar, { contact: ['<sip:a@h>;expires=0'] })
  assert.equal(result.kind, 'registered')
  assert.deepEqual(where(registrar, 1), ['sip:b@h'])
})

test('Contact * with Expires 0 removes every binding, and with anything else is refused', () => {
  const registrar = makeRegistrar()
  ask(registrar, { contact: ['<sip:a@h>'], callId: 'x' })
  for (const expires of [undefined, '60']) {
    assert.deepEqual(ask(registrar, { contact: ['*'], ...(expires === undefined ? {} : { expires }) }), { kind: 'refused', status: 400, headers: [] })
  }
  assert.equal(where(registrar, 1).length, 1)
  assert.deepEqual(ask(registrar, { contact: ['*'], expires: '0' }), { kind: 'registered', headers: [] })
  assert.deepEqual(where(registrar, 1), [])
})

test('a late REGISTER of the same Call-ID is refused and changes nothing; another Call-ID is a phone that restarted', () => {
  const registrar = makeRegistrar()
  ask(registrar, { contact: ['<sip:a@h>;expires=600'], callId: 'x', cseq: 7 }, 0)
  for (const cseq of [6, 7]) {
    assert.deepEqual(ask(registrar, { contact: ['<sip:a@h>;expires=0'], callId: 'x', cseq }, 1), { kind: 'refused', status: 400, headers: [] })
    assert.deepEqual(ask(registrar, { contact: ['*'], expires: '0', callId: 'x', cseq }, 1), { kind: 'refused', status: 400, headers: [] })
  }
  assert.equal(where(registrar, 1).length, 1)
  assert.equal(ask(registrar, { contact: ['<sip:a@h>;expires=0'], callId: 'y', cseq: 1 }, 1).kind, 'registered')
  assert.deepEqual(where(registrar, 1), [])
})

test('a REGISTER is obeyed whole or not at all', () => {
  const registrar = makeRegistrar()
  assert.equal(ask(registrar, { contact: ['<sip:a@h>;expires=600', '<sip:b@h>;expires=5'] }).kind, 'refused')
  assert.equal(ask(registrar, { contact: ['<sip:a@h>;expires=600', '<tel:+4712345678>'] }).kind, 'refused')
  assert.deepEqual(where(registrar, 1), [])
})

test('when a connection closes, only who was reached over it is gone', () => {
  const registrar = makeRegistrar()
  ask(registrar, { contact: ['<sip:a@h;transport=tcp>'] }, 0, hop(9, 'tcp'))
  ask(registrar, { contact: ['<sip:b@h>'] }, 0, hop(9, 'udp'))
  registrar.forgetFlow(hop(9, 'tcp'))
  assert.deepEqual(where(registrar, 1), ['sip:b@h'])
})

test('whatever is asked, the table stays bounded and holds nothing that has expired', () => {
  const asked = fc.record({
    contact: fc.array(
      fc.constantFrom('<sip:a@h>', '<sip:b@h>;expires=0', '<sip:c@h>;expires=90', '<sip:d@h>;expires=1', '*', '<sip:e@h>;expires=7000'),
      { maxLength: 4 },
    ),
    expires: fc.constantFrom('0', '60', '3600', 'x'),
    callId: fc.constantFrom('x', 'y'),
    cseq: fc.integer({ min: 0, max: 5 }),
  })
  fc.assert(
    fc.property(fc.array(asked, { maxLength: 30 }), (all) => {
      const registrar = makeRegistrar()
      all.forEach((each, at) => {
        const now = at * 20_000
        const before = where(registrar, now)
        if (ask(registrar, each, now).kind === 'refused') assert.deepEqual(where(registrar, now), before)
        const found = registrar.bindings('priya', now)
        assert(found.length <= MAX_BINDINGS && found.every((binding) => binding.expiresAt > now))
        assert.equal(new Set(where(registrar, now)).size, found.length)
      })
    }),
  )
})
