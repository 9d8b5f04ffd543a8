/** Contract C25 as bytes, keys in their order, and strangers: what must not happen to a conversation. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { countersOf, setTerms } from './conversation.ts'
import { KEY_END_REPEATS, keyPress, parseKey } from './dtmf.ts'
import { QUIET_MS } from './latch.ts'
import { arrive, arriveRtcp, report } from './passage.ts'
import { buildReport, parseRtcp } from './rtcp.ts'
import {
  assertContinuous,
  assertHears,
  deliver,
  HEARD_DB,
  isSound,
  join,
  legIn,
  levelDb,
  makeRig,
  obey,
  phone,
  phoneIn,
  pressed,
  run,
  sendOf,
  tableFor,
  termsOf,
  type Heard,
  type Phone,
  type Rig,
} from './rig.test.ts'
import { buildRtp } from './rtp.ts'
import { tonePayload } from './tone.ts'

/** Everything about what an ear received that it could tell apart. */
const traceOf = (heard: readonly Heard[]): readonly string[] =>
  heard.map(({ at, packet, payload }) =>
    [at, packet.payloadType, packet.marker, packet.sequence, packet.timestamp, packet.ssrc, Buffer.from(payload).toString('hex')].join(' '),
  )

const FATES = ['arrives', 'arrives', 'arrives', 'arrives', 'lost', 'doubled', 'swapped'] as const

describe('A listening supervisor', () => {
  const conversation = (fates: readonly (typeof FATES)[number][], law: Phone['law'] = 'pcmu') => {
    const fate: Phone['fate'] = (n) => fates[n % fates.length] ?? 'arrives'
    return makeRig(phone('agent', { fate, law }), phone('customer', { fate, ptimeMs: 30 }))
  }

  test('[C25] Agent and customer receive the same packets, header and payload, in the same order at the same time', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...FATES), { minLength: 1, maxLength: 12 }), fc.boolean(), (fates, isMixed) => {
        const law = isMixed ? 'pcma' : 'pcmu'
        const plain = conversation(fates, law)
        const monitored = conversation(fates, law)
        obey(plain, tableFor({}))
        obey(monitored, tableFor({}))
        for (const rig of [plain, monitored]) run(rig, 300)
        join(monitored, phone('coach'))
        join(monitored, phone('second', { ptimeMs: 60 }))
        for (const modes of [{ coach: 'listen' }, { coach: 'listen', second: 'listen' }, { second: 'listen' }, {}] as const) {
          obey(monitored, tableFor(modes))
          for (const rig of [plain, monitored]) run(rig, 250)
        }
        for (const ear of ['agent', 'customer']) {
          assert.deepEqual(traceOf(phoneIn(monitored, ear).heard), traceOf(phoneIn(plain, ear).heard))
        }
      }),
      { numRuns: 40 },
    )
  })

  test('[C25] Between equal laws the payload arrives bit for bit, all 256 codes', () => {
    for (const law of ['pcmu', 'pcma'] as const) {
      const rig = makeRig(phone('agent', { law }), phone('customer', { law, isTalking: false }), phone('coach'))
      obey(rig, tableFor({ coach: 'listen' }))
      const all = Uint8Array.from({ length: 256 }, (_, code) => code)
      const header = { payloadType: law === 'pcmu' ? 0 : 8, marker: true, sequence: 1, timestamp: 1, ssrc: 9 }
      deliver(rig, phoneIn(rig, 'customer'), buildRtp(header, all))
      assert.deepEqual(phoneIn(rig, 'agent').heard[0]?.payload, all)
    }
  })

  test('[C25] A whisper leaves what the customer receives untouched, byte for byte', () => {
    const plain = conversation(['arrives'])
    const coached = conversation(['arrives'])
    join(coached, phone('coach'))
    obey(plain, tableFor({}))
    obey(coached, tableFor({ coach: 'whisper' }))
    for (const rig of [plain, coached]) run(rig, 1500)
    assert.deepEqual(traceOf(phoneIn(coached, 'customer').heard), traceOf(phoneIn(plain, 'customer').heard))
    assert.ok(levelDb(coached, 'agent', 'coach', coached.now - 500) > HEARD_DB)
  })

  test('[C25] In whisper and barge no packet of the conversation is lost, doubled or later than without', () => {
    for (const mode of ['whisper', 'barge'] as const) {
      const plain = conversation(['arrives'])
      const coached = conversation(['arrives'])
      join(coached, phone('coach'))
      obey(plain, tableFor({}))
      obey(coached, tableFor({ coach: mode }))
      for (const rig of [plain, coached]) run(rig, 1500)
      const times = (rig: Rig) => phoneIn(rig, 'agent').heard.map(({ at, packet }) => [at, packet.sequence, packet.timestamp])
      assert.deepEqual(times(coached), times(plain))
    }
  })

  test('Contributing sources, an extension and padding of the sender stay out of the way of the payload', () => {
    const rig = makeRig(phone('agent'), phone('customer', { isTalking: false }))
    obey(rig, tableFor({}))
    const payload = tonePayload('pcmu', 440, 160)
    const bytes = Buffer.concat([
      Buffer.from([0xb2, 0x00, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9]),
      Buffer.alloc(8, 0xaa),
      Buffer.from([0xbe, 0xde, 0, 1, 1, 2, 3, 4]),
      payload,
      Buffer.from([0, 0, 0, 4]),
    ])
    deliver(rig, phoneIn(rig, 'customer'), bytes)
    assert.deepEqual(phoneIn(rig, 'agent').heard[0]?.payload, payload)
  })
})

/** Plays one key within the phone's running stream: sound stops meanwhile, as phones do it. */
function press(rig: Rig, from: string, key: string): void {
  const speaker = phoneIn(rig, from)
  const wasTalking = speaker.isTalking
  speaker.isTalking = false
  const { timestamp } = speaker
  for (const [i, payload] of keyPress(key).entries()) {
    pressed(rig, speaker, payload, timestamp, i === 0)
    run(rig, 20)
  }
  speaker.isTalking = wasTalking
}

const keysAt = (rig: Rig, ear: string) => phoneIn(rig, ear).heard.filter((heard) => !isSound(heard))

describe('Keys', () => {
  test("The digits of a party arrive in order with the listener's payload type, one timestamp and one marker each", () => {
    const rig = makeRig(phone('agent'), phone('customer'))
    setTerms(rig.call, legIn(rig, 'agent'), termsOf(phoneIn(rig, 'agent'), { digitsPayloadType: 96 }), rig.now)
    obey(rig, tableFor({}))
    run(rig, 100)
    for (const key of '159#') {
      press(rig, 'customer', key)
      run(rig, 100)
    }
    const keys = keysAt(rig, 'agent')
    const begins = keys.filter(({ packet }) => packet.marker)
    assert.deepEqual(
      begins.map(({ payload }) => parseKey(payload)?.event),
      [1, 5, 9, 11],
    )
    assert.equal(new Set(keys.map(({ packet }) => packet.timestamp)).size, 4)
    assert.ok(keys.every(({ packet }) => packet.payloadType === 96))
    assert.equal(keys.filter(({ payload }) => parseKey(payload)?.end).length, 4 * KEY_END_REPEATS)
    assertContinuous(rig, 'agent')
    assert.equal(keysAt(rig, 'customer').length, 0)
  })

  test('A listener that takes no events sees neither them nor a gap', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    obey(rig, tableFor({ coach: 'whisper' }))
    setTerms(rig.call, legIn(rig, 'agent'), termsOf(phoneIn(rig, 'agent'), { digitsPayloadType: null }), rig.now)
    run(rig, 100)
    press(rig, 'customer', '7')
    run(rig, 200)
    assert.equal(keysAt(rig, 'agent').length, 0)
    assertContinuous(rig, 'agent')
  })

  for (const [mode, ears] of [
    ['listen', []],
    ['whisper', ['agent']],
    ['barge', ['agent', 'customer']],
  ] as const) {
    test(`[C23] A supervisor's keys in ${mode} reach ${ears.join(' and ') || 'nobody'}, in one stream with the sound`, () => {
      const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
      obey(rig, tableFor({ coach: mode }))
      run(rig, 300)
      press(rig, 'coach', '4')
      press(rig, 'coach', '2')
      const since = rig.now + 100
      run(rig, 500)
      for (const ear of ['agent', 'customer'] as const) {
        const begins = keysAt(rig, ear).filter(({ packet }) => packet.marker)
        assert.deepEqual(
          begins.map(({ payload }) => parseKey(payload)?.event),
          ears.some((each) => each === ear) ? [4, 2] : [],
        )
        assert.equal(new Set(keysAt(rig, ear).map(({ packet }) => packet.timestamp)).size, begins.length)
        assertContinuous(rig, ear)
      }
      assertHears(rig, tableFor({ coach: mode }), since)
    })
  }

  test('A supervisor hears the keys of the parties, as everything else of the conversation', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    obey(rig, tableFor({ coach: 'listen' }))
    run(rig, 100)
    press(rig, 'customer', '3')
    run(rig, 100)
    assert.ok(keysAt(rig, 'coach').length > 0)
    assertContinuous(rig, 'coach')
  })

  test('A key held for five seconds leaves the time of the stream in order', () => {
    const rig = makeRig(phone('agent'), phone('customer'))
    obey(rig, tableFor({}))
    run(rig, 100)
    const customer = phoneIn(rig, 'customer')
    customer.isTalking = false
    const { timestamp } = customer
    for (const [i, payload] of keyPress('8', 160, 250).entries()) {
      pressed(rig, customer, payload, timestamp, i === 0)
      run(rig, 20)
    }
    customer.isTalking = true
    run(rig, 200)
    const sounds = phoneIn(rig, 'agent').heard.filter(isSound)
    const offsets = new Set(sounds.map(({ packet, at }) => Math.round(((packet.timestamp - at * 8) | 0) / 160)))
    assert.ok(offsets.size <= 2, 'timestamps after the key go by the same clock as before')
    assertContinuous(rig, 'agent')
  })
})

describe('Strangers', () => {
  const packet = (sequence: number, change = {}) =>
    buildRtp({ payloadType: 0, marker: false, sequence, timestamp: sequence * 160, ssrc: 666, ...change }, tonePayload('pcmu', 1000, 160))
  const from = (rig: Rig, host: string, port: number, bytes: Uint8Array) =>
    arrive(legIn(rig, 'customer'), { from: { host, port }, bytes, now: rig.now }, () => assert.fail('nothing may be sent on'))

  test('After the lock a stranger is dropped and counted, whatever he sends', () => {
    const rig = makeRig(phone('agent'), phone('customer'))
    obey(rig, tableFor({}))
    run(rig, 200)
    for (let i = 0; i < 50; i++) from(rig, '10.6.6.6', 9999, packet(i))
    from(rig, '10.6.6.6', 9999, Buffer.from('not even rtp'))
    const leg = legIn(rig, 'customer')
    assert.equal(countersOf(leg).strangers, 51)
    assert.equal(countersOf(leg).malformed, 0)
  })

  test('Rubbish, wrong payload types and giants are counted as malformed and lock nothing', () => {
    const rig = makeRig(phone('agent'), phone('customer', { isTalking: false }))
    obey(rig, tableFor({}))
    const rubbish = [
      Buffer.alloc(0),
      Buffer.alloc(11),
      Buffer.alloc(200),
      Buffer.alloc(1600, 0x80),
      packet(1, { payloadType: 9 }),
      packet(1, { payloadType: 96 }),
      buildRtp({ payloadType: 13, marker: false, sequence: 1, timestamp: 1, ssrc: 1 }, new Uint8Array(0)),
      buildRtp({ payloadType: 0, marker: false, sequence: 1, timestamp: 1, ssrc: 1 }, new Uint8Array(0)),
      buildRtp({ payloadType: 0, marker: false, sequence: 1, timestamp: 1, ssrc: 1 }, new Uint8Array(801)),
      buildRtp({ payloadType: 101, marker: false, sequence: 1, timestamp: 1, ssrc: 1 }, new Uint8Array(3)),
    ]
    for (const bytes of rubbish) from(rig, '10.6.6.6', 9999, bytes)
    const leg = legIn(rig, 'customer')
    assert.equal(countersOf(leg).malformed, rubbish.length)
    assert.equal(leg.latch.locked, null)
  })

  test('Any bytes at all: nothing throws, and nothing is sent that is not RTP', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 400 })), { maxLength: 60 }), (datagrams) => {
        const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
        obey(rig, tableFor({ coach: 'barge' }))
        for (const [isRtp, bytes] of datagrams) {
          if (isRtp && bytes.length > 1) bytes.set([0x80 | ((bytes[0] ?? 0) & 0x3f), (bytes[1] ?? 0) & 0x80])
          for (const id of rig.phones.keys()) deliver(rig, phoneIn(rig, id), bytes.slice())
          arriveRtcp(legIn(rig, 'agent'), { from: { host: '10.0.0.1', port: 1 }, bytes, now: rig.now })
          run(rig, 5)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('A phone behind NAT is answered where it speaks from, and moves only as the rules allow', () => {
    const rig = makeRig(phone('agent'), phone('customer', { isTalking: false }))
    obey(rig, tableFor({}))
    const nat = { host: '10.0.0.9', port: 40000 }
    const sent: unknown[] = []
    arrive(legIn(rig, 'customer'), { from: nat, bytes: packet(1), now: rig.now }, sendOf(rig))
    const leg = rig.call.legs.get('customer')
    assert.deepEqual(leg?.latch.locked, nat)
    arrive(legIn(rig, 'agent'), { from: { host: '10.0.0.1', port: 4000 }, bytes: packet(1), now: rig.now }, (_, to) => sent.push(to))
    assert.deepEqual(sent, [nat])
    rig.now += QUIET_MS + 1
    arrive(legIn(rig, 'customer'), { from: { host: '10.0.0.9', port: 40002 }, bytes: packet(2), now: rig.now }, sendOf(rig))
    assert.equal(leg?.latch.locked?.port, 40002)
  })
})

describe('Reports', () => {
  test('Each leg is told how its stream does, and what it says of ours is counted', () => {
    const rig = makeRig(phone('agent', { fate: (n) => (n % 10 === 5 ? 'lost' : 'arrives') }), phone('customer'))
    obey(rig, tableFor({}))
    run(rig, 2000)
    const own = report(legIn(rig, 'agent'), rig.now)
    assert.ok(own)
    assert.deepEqual(own.to, { host: '10.0.0.1', port: 4001 })
    const said = parseRtcp(own.bytes)
    assert.equal(said?.cname, 'agent')
    assert.equal(said?.reports[0]?.sender?.packets, phoneIn(rig, 'agent').heard.length)
    assert.equal(said?.blocks[0]?.lost, 10)
    const ssrc = said?.reports[0]?.ssrc ?? 0
    const block = { ssrc, fractionLost: 3, lost: 12, highestSequence: 0, jitter: 0, lastReport: 0, sinceLastReport: 0 }
    const theirs = buildReport({ ssrc: 5, sender: null, block }, 'phone')
    const leg = legIn(rig, 'agent')
    arriveRtcp(legIn(rig, 'agent'), { from: { host: '10.6.6.6', port: 4001 }, bytes: theirs, now: rig.now })
    assert.equal(countersOf(leg).lostOut, 0, 'a stranger has no say')
    arriveRtcp(legIn(rig, 'agent'), { from: { host: '10.0.0.1', port: 4001 }, bytes: theirs, now: rig.now })
    assert.equal(countersOf(leg).lostOut, 12)
    assert.equal(parseRtcp(report(legIn(rig, 'agent'), rig.now, true)?.bytes ?? new Uint8Array())?.goodbye, true)
  })
})
