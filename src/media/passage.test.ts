/** What phones send that was not agreed to the letter: the other law, other numbers for keys, comfort noise; and long silence. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { countersOf, FIRST_SILENCE_MS, setTerms } from './conversation.ts'
import { keyPress, parseKey } from './dtmf.ts'
import { SILENCE } from './g711.ts'
import { arrive, arriveRtcp, COMFORT_NOISE, KEEP_ALIVE_MS } from './passage.ts'
import { buildReport } from './rtcp.ts'
import {
  assertContinuous,
  assertHears,
  deliver,
  isSound,
  join,
  legIn,
  makeRig,
  obey,
  phone,
  phoneIn,
  run,
  tableFor,
  termsOf,
  type Heard,
  type Phone,
  type Rig,
  TICK_EVERY_MS,
} from './rig.test.ts'
import { buildRtp, timestampAhead } from './rtp.ts'
import { tonePayload } from './tone.ts'

/** One packet within the phone's own stream, of any payload type. */
function utter(rig: Rig, from: Phone, payloadType: number, payload: Uint8Array, change: { timestamp?: number; marker?: boolean } = {}): void {
  const { sequence, ssrc, timestamp } = from
  from.sequence = (sequence + 1) & 0xffff
  deliver(rig, from, buildRtp({ payloadType, marker: false, sequence, timestamp, ssrc, ...change }, payload))
}

const since = (rig: Rig, ear: string, at: number): readonly Heard[] => phoneIn(rig, ear).heard.filter((heard) => heard.at >= at)
const malformed = (rig: Rig, id: string): number => countersOf(legIn(rig, id)).malformed

describe('A phone that sends the law that it is not sent', () => {
  for (const mode of ['listen', 'whisper', 'barge'] as const) {
    test(`In ${mode} everybody is understood when all of them change the law of what they send, packet by packet if they like`, () => {
      const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
      const table = tableFor({ coach: mode })
      obey(rig, table)
      run(rig, 400)
      for (const everyMs of [400, 20]) {
        const from = rig.now + 200
        for (let i = 0; i < 800 / everyMs; i++) {
          for (const each of rig.phones.values()) each.law = each.law === 'pcmu' ? 'pcma' : 'pcmu'
          run(rig, everyMs)
        }
        assertHears(rig, table, from, `every ${everyMs} ms`)
      }
      for (const id of rig.phones.keys()) {
        assertContinuous(rig, id)
        assert.ok(
          phoneIn(rig, id).heard.every(({ packet }) => packet.payloadType === 0),
          `${id} is sent what was agreed`,
        )
        assert.equal(malformed(rig, id), 0)
        assert.equal(countersOf(legIn(rig, id)).lostIn, 0)
      }
    })
  }

  test('[C25] The payload is untouched whenever the packet is in the law of its listener, and only then rewritten', () => {
    for (const sent of ['pcmu', 'pcma'] as const) {
      const rig = makeRig(phone('agent', { law: sent }), phone('customer', { law: sent === 'pcmu' ? 'pcma' : 'pcmu', isTalking: false }))
      obey(rig, tableFor({}))
      const all = Uint8Array.from({ length: 256 }, (_, code) => code)
      const [same, other] = sent === 'pcmu' ? [0, 8] : [8, 0]
      utter(rig, phoneIn(rig, 'customer'), same, all)
      utter(rig, phoneIn(rig, 'customer'), other, all, { timestamp: (phoneIn(rig, 'customer').timestamp + 256) >>> 0 })
      const [first, second] = phoneIn(rig, 'agent').heard
      assert.deepEqual(first?.payload, all)
      assert.notDeepEqual(second?.payload, all)
      assert.deepEqual([first?.packet.payloadType, second?.packet.payloadType], [same, same])
      assert.equal(timestampAhead(second?.packet.timestamp ?? 0, first?.packet.timestamp ?? 0), 256)
      assertContinuous(rig, 'agent')
    }
  })
})

test('Two ears of different laws that are relayed the same packets both understand them', () => {
  const rig = makeRig(phone('agent'), phone('customer', { law: 'pcma' }), phone('second', { kind: 'conversation', law: 'pcma' }))
  const table = { agent: ['customer'], second: ['customer'], customer: ['agent'] }
  for (const rows of [table, { second: table.second, agent: table.agent, customer: table.customer }]) {
    obey(rig, rows)
    const from = rig.now
    run(rig, 300)
    assertHears(rig, rows, from)
  }
  for (const ear of rig.phones.keys()) assertContinuous(rig, ear)
})

describe('Numbers of keys', () => {
  for (const [offered, theirs] of [
    [101, 96],
    [101, 127],
    [101, 101],
  ] as const) {
    test(`We offered ${offered}, the phone answered ${theirs}: it is sent ${theirs} and may send either`, () => {
      const rig = makeRig(phone('agent'), phone('customer'))
      for (const id of ['agent', 'customer']) {
        const terms = termsOf(phoneIn(rig, id), { digitsPayloadType: theirs, digitsFromPhone: [offered, theirs] })
        setTerms(rig.call, legIn(rig, id), terms, rig.now)
      }
      obey(rig, tableFor({}))
      run(rig, 100)
      for (const [i, type] of [offered, theirs].entries()) {
        const customer = phoneIn(rig, 'customer')
        customer.isTalking = false
        const { timestamp } = customer
        for (const [n, payload] of keyPress('48'[i] ?? '').entries()) {
          utter(rig, customer, type, payload, { timestamp, marker: n === 0 })
          run(rig, 20)
        }
        customer.isTalking = true
        run(rig, 100)
      }
      const keys = phoneIn(rig, 'agent').heard.filter((heard) => !isSound(heard))
      assert.ok(keys.every(({ packet }) => packet.payloadType === theirs))
      const begun = keys.filter(({ packet }) => packet.marker).map(({ payload }) => parseKey(payload)?.event)
      assert.deepEqual(begun, [4, 8])
      assert.equal(malformed(rig, 'customer'), 0)
      assertContinuous(rig, 'agent')
    })
  }
})

describe('Comfort noise, and what we cannot carry', () => {
  /** The customer talks, goes quiet for some seconds as such phones do, and talks again. */
  function pauseWith(rig: Rig, payloadType: number, payload: Uint8Array): number {
    const customer = phoneIn(rig, 'customer')
    obey(rig, tableFor({ coach: 'listen' }))
    run(rig, 400)
    customer.isTalking = false
    for (let i = 0; i < 5; i++) {
      utter(rig, customer, payloadType, payload)
      run(rig, 200)
    }
    customer.isTalking = true
    const back = rig.now
    run(rig, 400)
    return back
  }

  for (const [what, payloadType, payload, isNoise] of [
    ['Comfort noise', COMFORT_NOISE, Uint8Array.of(60), true],
    ['Comfort noise with a spectrum', COMFORT_NOISE, Uint8Array.of(60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), true],
    ['A keep-alive of an unknown payload type', 126, new Uint8Array(0), false],
    ['Another codec', 9, new Uint8Array(160), false],
  ] as const) {
    test(`${what} reaches no ear, is no loss, and leaves no gap`, () => {
      const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
      const quiet = rig.now + 400
      const back = pauseWith(rig, payloadType, payload)
      assertHears(rig, tableFor({ coach: 'listen' }), back + 100)
      const meanwhile = since(rig, 'agent', quiet).filter(({ at }) => at < back)
      assert.deepEqual(meanwhile, [])
      for (const ear of rig.phones.keys()) {
        assertContinuous(rig, ear)
        assert.ok(phoneIn(rig, ear).heard.every(isSound))
      }
      const { lostIn, packetsIn } = countersOf(legIn(rig, 'customer'))
      assert.deepEqual({ lostIn, malformed: malformed(rig, 'customer') }, { lostIn: 0, malformed: isNoise ? 0 : 5 })
      assert.equal(packetsIn, phoneIn(rig, 'customer').sentCount + (isNoise ? 5 : 0))
      const [before, after] = [phoneIn(rig, 'agent').heard.findLast(({ at }) => at < quiet), since(rig, 'agent', back)[0]]
      const pause = timestampAhead(after?.packet.timestamp ?? 0, before?.packet.timestamp ?? 0) / 8
      assert.ok(Math.abs(pause - 1000) <= 40, `the pause keeps its length: ${pause} ms`)
    })
  }

  test('A coach is heard while the customer sends comfort noise only', () => {
    const rig = makeRig(phone('agent'), phone('customer', { isTalking: false }), phone('coach'))
    obey(rig, tableFor({ coach: 'whisper' }))
    for (let i = 0; i < 10; i++) {
      utter(rig, phoneIn(rig, 'customer'), COMFORT_NOISE, Uint8Array.of(60))
      run(rig, 100)
    }
    assertHears(rig, tableFor({ coach: 'whisper' }), rig.now - 500)
    assertContinuous(rig, 'agent')
  })

  test('A new stream that begins with comfort noise is joined at its first sound', () => {
    const rig = makeRig(phone('agent'), phone('customer'))
    obey(rig, tableFor({}))
    run(rig, 300)
    const customer = phoneIn(rig, 'customer')
    Object.assign(customer, { ssrc: 78, sequence: 20_000, timestamp: 12345 })
    for (let i = 0; i < 3; i++) utter(rig, customer, COMFORT_NOISE, Uint8Array.of(60))
    run(rig, 300)
    assertContinuous(rig, 'agent')
    assertHears(rig, tableFor({}), rig.now - 200)
  })

  test('What we cannot carry in a stream of its own leaves the stream that we do carry alone', () => {
    const rig = makeRig(phone('agent'), phone('customer'))
    obey(rig, tableFor({}))
    for (let i = 0; i < 20; i++) {
      const header = { payloadType: 96, marker: false, sequence: 9000 + i, timestamp: i * 160, ssrc: 4321 }
      deliver(rig, phoneIn(rig, 'customer'), buildRtp(header, new Uint8Array(40)))
      run(rig, 20)
    }
    const leg = legIn(rig, 'customer')
    assert.deepEqual([leg.reception.ssrc, malformed(rig, 'customer'), countersOf(leg).lostIn], [phoneIn(rig, 'customer').ssrc, 20, 0])
    assert.equal(phoneIn(rig, 'agent').heard.filter(({ packet }) => packet.marker).length, 1)
    assertContinuous(rig, 'agent')
  })

  test('Comfort noise locks the port, what we cannot carry does not, and neither may a stranger send', () => {
    const rig = makeRig(phone('agent'), phone('customer', { isTalking: false }))
    obey(rig, tableFor({}))
    const leg = legIn(rig, 'customer')
    const from = (port: number, payloadType: number) => {
      const bytes = buildRtp({ payloadType, marker: false, sequence: 1, timestamp: 1, ssrc: 5 }, Uint8Array.of(60))
      arrive(leg, { from: { host: '10.9.9.9', port }, bytes, now: rig.now }, () => assert.fail('nothing is sent on'))
    }
    from(7000, 126)
    assert.equal(leg.latch.locked, null)
    from(7000, COMFORT_NOISE)
    assert.deepEqual(leg.latch.locked, { host: '10.9.9.9', port: 7000 })
    from(7002, COMFORT_NOISE)
    from(7002, 126)
    assert.deepEqual([countersOf(leg).strangers, countersOf(leg).malformed], [2, 1])
  })
})

describe('A phone that there is nothing to send to', () => {
  const silences = (rig: Rig, ear: string) => {
    const { heard, law } = phoneIn(rig, ear)
    return heard.filter(({ payload }) => payload.every((code) => code === SILENCE[law]))
  }

  for (const [who, table] of [
    ['without a row', {}],
    ['with an empty row', { agent: [], customer: [] }],
    ['whose parties are silent', tableFor({ coach: 'whisper' })],
  ] as const) {
    test(`A conversation leg ${who} is sent a frame of silence at first and then every few seconds`, () => {
      const rig = makeRig(phone('agent', { law: 'pcma' }), phone('customer', { isTalking: false }), phone('coach', { isTalking: false }))
      obey(rig, table)
      run(rig, FIRST_SILENCE_MS - TICK_EVERY_MS)
      assert.equal(phoneIn(rig, 'agent').heard.length, 0)
      run(rig, 3 * KEEP_ALIVE_MS + 100)
      const { heard } = phoneIn(rig, 'agent')
      assert.deepEqual([heard.length, silences(rig, 'agent').length], [4, 4])
      assert.ok(heard.every(({ at }, i) => i === 0 || Math.abs(at - (heard[i - 1]?.at ?? 0) - KEEP_ALIVE_MS) <= TICK_EVERY_MS))
      assertContinuous(rig, 'agent')
    })
  }

  test('A supervisor whose parties are all on hold is sent silence as well', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    for (const id of ['agent', 'customer']) setTerms(rig.call, legIn(rig, id), termsOf(phoneIn(rig, id), { phoneSends: false }), rig.now)
    obey(rig, tableFor({ coach: 'listen' }))
    run(rig, 2 * KEEP_ALIVE_MS)
    assert.equal(silences(rig, 'coach').length, 2)
  })

  test('A phone that does not receive, or says nowhere, is sent nothing, and silence again when it is back', () => {
    for (const change of [{ phoneReceives: false }, { remote: { host: '0.0.0.0', port: 4000 } }]) {
      const rig = makeRig(phone('agent', { isTalking: false }), phone('customer', { isTalking: false }))
      obey(rig, tableFor({}))
      setTerms(rig.call, legIn(rig, 'agent'), termsOf(phoneIn(rig, 'agent'), change), rig.now)
      run(rig, 3 * KEEP_ALIVE_MS)
      assert.equal(phoneIn(rig, 'agent').heard.length, 0)
      setTerms(rig.call, legIn(rig, 'agent'), termsOf(phoneIn(rig, 'agent')), rig.now)
      run(rig, FIRST_SILENCE_MS + TICK_EVERY_MS)
      assert.equal(silences(rig, 'agent').length, 1)
    }
  })

  test('While anything is sent there is no silence, and what is said after it is whole and on time', () => {
    const rig = makeRig(phone('agent'), phone('customer'))
    obey(rig, tableFor({}))
    run(rig, 2 * KEEP_ALIVE_MS)
    assert.equal(silences(rig, 'agent').length, 0)
    const customer = phoneIn(rig, 'customer')
    for (const pauseMs of [KEEP_ALIVE_MS - 15, KEEP_ALIVE_MS, KEEP_ALIVE_MS + 15, 3 * KEEP_ALIVE_MS]) {
      customer.isTalking = false
      run(rig, pauseMs)
      customer.isTalking = true
      const back = rig.now
      run(rig, 400)
      const heard = since(rig, 'agent', back).filter(({ payload }) => payload.some((code) => code !== SILENCE.pcmu))
      assert.equal(heard.length, 20)
      assertHears(rig, tableFor({}), back + 40)
    }
    assertContinuous(rig, 'agent')
    const drift = (at: Heard | undefined) => (at === undefined ? 0 : timestampAhead(at.packet.timestamp, Math.round(at.at * 8) >>> 0))
    const { heard } = phoneIn(rig, 'agent')
    assert.ok(Math.abs(drift(heard.at(-1)) - drift(heard[0])) <= 2 * 160)
  })

  test('[C25] A supervisor who listens, or keeps silent in whisper, changes no packet of a call that is silent for long', () => {
    const traces = ([[], ['listen'], ['whisper']] as const).map(([mode]) => {
      const rig = makeRig(phone('agent'), phone('customer'))
      if (mode !== undefined) join(rig, phone('coach', { isTalking: false }))
      obey(rig, mode === undefined ? tableFor({}) : tableFor({ coach: mode }))
      for (const isTalking of [true, false, true, false]) {
        phoneIn(rig, 'customer').isTalking = isTalking
        run(rig, KEEP_ALIVE_MS + 1300)
      }
      return ['agent', 'customer'].map((ear) => phoneIn(rig, ear).heard.map(({ at, copy }) => `${at} ${Buffer.from(copy).toString('hex')}`))
    })
    assert.ok((traces[0]?.[0]?.length ?? 0) > 600)
    for (const trace of traces) assert.deepEqual(trace, traces[0])
  })
})

describe('When a phone was heard last', () => {
  test("Its RTP and its RTCP count, a stranger's do not", () => {
    const rig = makeRig(phone('agent', { isTalking: false }), phone('customer'))
    obey(rig, tableFor({}))
    const leg = legIn(rig, 'agent')
    const heardAt = () => countersOf(leg).heardAt
    const rtp = (host: string) =>
      arrive(
        leg,
        {
          from: { host, port: 4000 },
          bytes: buildRtp({ payloadType: 0, marker: false, sequence: 1, timestamp: 1, ssrc: 5 }, tonePayload('pcmu', 440, 160)),
          now: rig.now,
        },
        () => {},
      )
    const rtcp = (host: string, bytes = buildReport({ ssrc: 5, sender: null, block: null }, 'x')) =>
      arriveRtcp(leg, { from: { host, port: 4001 }, bytes, now: rig.now })
    assert.equal(heardAt(), null)
    rtp('10.0.0.1')
    const first = rig.now
    assert.equal(heardAt(), first)
    run(rig, 60_000)
    rtp('10.6.6.6')
    rtcp('10.6.6.6')
    rtcp('10.0.0.1', new Uint8Array(8))
    assert.equal(heardAt(), first)
    rtcp('10.0.0.1')
    assert.equal(heardAt(), rig.now)
  })
})
