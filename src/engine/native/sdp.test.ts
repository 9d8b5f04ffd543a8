import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type AudioDescription,
  bothLaws,
  chooseLaw,
  inFamilyOf,
  MAX_SDP_BYTES,
  MAX_STREAMS,
  mirrored,
  type OurEnd,
  readAnswer,
  readOffer,
  termsOf,
  writeAnswer,
  writeOffer,
} from './sdp.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const sdp = (lines: readonly string[]): Uint8Array => bytes(`${lines.join('\r\n')}\r\n`)
const HEAD = ['v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=-', 'c=IN IP4 192.0.2.1', 't=0 0']
const offer = (...media: readonly string[]): Uint8Array => sdp([...HEAD, ...media])
const AUDIO = 'm=audio 4000 RTP/AVP 0 8 101'
const ours: OurEnd = { sessionId: '77', version: 3, host: '127.0.0.1', port: 20_000 }

function audioOf(body: Uint8Array): AudioDescription {
  const reading = readOffer(body)
  assert.equal(reading.kind, 'audio', JSON.stringify(reading))
  assert(reading.kind === 'audio')
  return reading.audio
}

test('an ordinary offer is read whole', () => {
  const audio = audioOf(offer(AUDIO, 'a=rtpmap:0 PCMU/8000', 'a=rtpmap:8 PCMA/8000', 'a=rtpmap:101 telephone-event/8000', 'a=ptime:30', 'a=sendrecv'))
  assert.deepEqual(audio, {
    host: '192.0.2.1',
    port: 4000,
    laws: ['pcmu', 'pcma'],
    digitsPayloadType: 101,
    ptimeMs: 30,
    direction: 'sendrecv',
    streams: [{ type: 'audio', port: 4000, protocol: 'RTP/AVP', formats: ['0', '8', '101'] }],
    audioAt: 0,
  })
})

const LAWS: readonly [string, readonly string[], readonly string[] | null][] = [
  ['m=audio 4000 RTP/AVP 8 0', [], ['pcma', 'pcmu']],
  ['m=audio 4000 RTP/AVP 9 8', ['a=rtpmap:9 G722/8000'], ['pcma']],
  ['m=audio 4000 RTP/AVP 0', ['a=rtpmap:0 pcmu/8000/1'], ['pcmu']],
  ['m=audio 4000 RTP/AVP 0 0', [], ['pcmu']],
  ['m=audio 4000 RTP/AVP 0', ['a=rtpmap:0 PCMU/16000'], null],
  ['m=audio 4000 RTP/AVP 0', ['a=rtpmap:0 opus/48000/2'], null],
  ['m=audio 4000 RTP/AVP 0 8', ['a=rtpmap:0 PCMU/8000/2'], ['pcma']],
  ['m=audio 4000 RTP/AVP 96', ['a=rtpmap:96 PCMU/8000'], null],
  ['m=audio 4000 RTP/AVP 18 3', [], null],
]
for (const [line, attributes, laws] of LAWS) {
  test(`${line} ${attributes.join(' ')} speaks ${laws?.join(', ') ?? 'nothing of ours'}`, () => {
    const reading = readOffer(offer(line, ...attributes))
    if (laws === null) assert.deepEqual(reading, { kind: 'refused', status: 488, reason: 'neither PCMU nor PCMA' })
    else assert.deepEqual(reading.kind === 'audio' && reading.audio.laws, laws)
  })
}

const DIGITS: readonly [string, number | null][] = [
  ['a=rtpmap:101 telephone-event/8000', 101],
  ['a=rtpmap:101 TELEPHONE-EVENT/8000/1', 101],
  ['a=rtpmap:101 telephone-event/16000', null],
  ['a=rtpmap:102 telephone-event/8000', null],
  ['a=sendrecv', null],
]
for (const [attribute, type] of DIGITS) {
  test(`${attribute} on a line with 101 gives digits as ${type}`, () => assert.equal(audioOf(offer(AUDIO, attribute)).digitsPayloadType, type))
}

const PTIMES: readonly [readonly string[], number][] = [
  [[], 20],
  [['a=ptime:10'], 10],
  [['a=ptime:60'], 60],
  [['a=ptime:5'], 10],
  [['a=ptime:0'], 20],
  [['a=ptime:200'], 60],
  [['a=ptime:25'], 20],
  [['a=ptime:40', 'a=maxptime:30'], 30],
  [['a=maxptime:10'], 10],
  [['a=maxptime:3'], 10],
  [['a=ptime:1.5.2'], 20],
]
for (const [attributes, ptimeMs] of PTIMES) {
  test(`${attributes.join(' ') || 'no ptime'} is ${ptimeMs} ms`, () => assert.equal(audioOf(offer(AUDIO, ...attributes)).ptimeMs, ptimeMs))
}

const DIRECTIONS = [
  { said: 'sendrecv', answered: 'sendrecv', receives: true, sends: true },
  { said: 'sendonly', answered: 'recvonly', receives: false, sends: true },
  { said: 'recvonly', answered: 'sendonly', receives: true, sends: false },
  { said: 'inactive', answered: 'inactive', receives: false, sends: false },
] as const
for (const { said, answered, receives, sends } of DIRECTIONS) {
  test(`a phone that says ${said} is answered ${answered}, and the media plane knows`, () => {
    for (const body of [offer(AUDIO, `a=${said}`), sdp([...HEAD, `a=${said}`, AUDIO])]) {
      const audio = audioOf(body)
      const terms = termsOf(audio, 'pcmu', null)
      assert.equal(terms.phoneReceives, receives)
      assert.equal(terms.phoneSends, sends)
      assert.equal(mirrored(audio.direction), answered)
      assert.match(writeAnswer(ours, audio, 'pcmu'), new RegExp(`a=${answered}\r\n`))
    }
  })
}

test('the direction of the stream wins over that of the session', () => {
  assert.equal(audioOf(sdp([...HEAD, 'a=inactive', AUDIO, 'a=sendrecv'])).direction, 'sendrecv')
})

test('the address of the stream wins over that of the session', () => {
  assert.equal(audioOf(offer(AUDIO, 'c=IN IP4 192.0.2.9')).host, '192.0.2.9')
})

test('the address 0.0.0.0 is a hold: nothing is sent, what comes is heard', () => {
  const terms = termsOf(audioOf(offer(AUDIO, 'c=IN IP4 0.0.0.0')), 'pcma', null)
  assert.equal(terms.phoneReceives, false)
  assert.equal(terms.phoneSends, true)
  assert.equal(terms.law, 'pcma')
})

test('an address of the other IP version is refused, a hold by address is not', () => {
  const four = readOffer(offer(AUDIO))
  const six = readOffer(offer(AUDIO, 'c=IN IP6 2001:db8::7'))
  assert.equal(inFamilyOf('127.0.0.1', four), four)
  assert.equal(inFamilyOf('::1', six), six)
  for (const [ours, reading] of [
    ['::1', four],
    ['127.0.0.1', six],
  ] as const) {
    assert.deepEqual(inFamilyOf(ours, reading), { kind: 'refused', status: 488, reason: 'address of another IP version' })
  }
  assert.equal(inFamilyOf('::1', readOffer(offer(AUDIO, 'c=IN IP4 0.0.0.0'))).kind, 'audio')
})

test('IPv6 literals are read', () => {
  assert.equal(audioOf(offer(AUDIO, 'c=IN IP6 2001:db8::7')).host, '2001:db8::7')
})

const REFUSED: readonly [string, Uint8Array, number][] = [
  ['no SDP at all', bytes('hello'), 400],
  ['an empty body', bytes(''), 400],
  ['a wrong version', bytes('v=1\r\no=- 1 1 IN IP4 1.2.3.4\r\n'), 400],
  ['no origin', sdp(['v=0', 's=-', 'c=IN IP4 192.0.2.1', AUDIO]), 400],
  ['a line without =', offer(AUDIO, 'nonsense'), 400],
  ['a NUL', offer(AUDIO, 'a=x\0y'), 400],
  ['a connection of another network', offer(AUDIO, 'c=ATM NSAP 47'), 400],
  ['a connection with a TTL', offer(AUDIO, 'c=IN IP4 224.2.1.1/127'), 400],
  ['multicast', offer(AUDIO, 'c=IN IP4 224.2.1.1'), 488],
  ['IPv6 multicast', offer(AUDIO, 'c=IN IP6 ff02::1'), 488],
  ['a host name, which is never looked up', offer(AUDIO, 'c=IN IP4 phone.example.com'), 488],
  ['an address of the other family', offer(AUDIO, 'c=IN IP6 192.0.2.1'), 488],
  ['an address that is none', offer(AUDIO, 'c=IN IP4 999.1.1.1'), 488],
  ['no connection', sdp(['v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=-', AUDIO]), 488],
  ['a port beyond 65535', offer('m=audio 70000 RTP/AVP 0'), 400],
  ['a port that is no number', offer('m=audio x RTP/AVP 0'), 400],
  ['a stream without formats', offer('m=audio 4000 RTP/AVP'), 400],
  ['more formats than anybody has', offer(`m=audio 4000 RTP/AVP ${Array.from({ length: 65 }, (_, at) => at).join(' ')}`), 400],
  ['more streams than anybody has', offer(...Array.from({ length: MAX_STREAMS + 1 }, () => AUDIO)), 400],
  ['no stream', offer(), 488],
  ['port 0', offer('m=audio 0 RTP/AVP 0'), 488],
  ['encrypted audio only', offer('m=audio 4000 RTP/SAVP 0'), 488],
  ['feedback profile only', offer('m=audio 4000 RTP/AVPF 0'), 488],
  ['video only', offer('m=video 4000 RTP/AVP 31'), 488],
  ['layered audio', offer('m=audio 4000/2 RTP/AVP 0'), 488],
  ['a flood', Buffer.alloc(MAX_SDP_BYTES + 1, 'v=0\r\n'), 413],
]
for (const [title, body, status] of REFUSED) {
  test(`${title} is refused with ${status}`, () => {
    const reading = readOffer(body)
    assert.equal(reading.kind, 'refused')
    assert(reading.kind === 'refused')
    assert.equal(reading.status, status, reading.reason)
  })
}

test('the first stream that can be carried is taken, the others are answered with port 0 in their places', () => {
  const audio = audioOf(
    offer(
      'm=audio 4000 RTP/SAVP 0',
      'm=video 5000 RTP/AVP 31 32',
      'm=audio 6000 RTP/AVP 8 97',
      'a=rtpmap:97 telephone-event/8000',
      'm=audio 7000 RTP/AVP 0',
    ),
  )
  assert.equal(audio.audioAt, 2)
  assert.deepEqual(writeAnswer(ours, audio, 'pcma').split('\r\n'), [
    'v=0',
    'o=- 77 3 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    'm=audio 0 RTP/SAVP 0',
    'm=video 0 RTP/AVP 31 32',
    'm=audio 20000 RTP/AVP 8 97',
    'a=rtpmap:8 PCMA/8000',
    'a=rtpmap:97 telephone-event/8000',
    'a=fmtp:97 0-16',
    'a=ptime:20',
    'a=sendrecv',
    'm=audio 0 RTP/AVP 0',
    '',
  ])
})

test('our offer names both laws, the preferred first, and digits', () => {
  assert.deepEqual(writeOffer({ ...ours, host: '::1' }, bothLaws('pcma')).split('\r\n'), [
    'v=0',
    'o=- 77 3 IN IP6 ::1',
    's=-',
    'c=IN IP6 ::1',
    't=0 0',
    'm=audio 20000 RTP/AVP 8 0 101',
    'a=rtpmap:8 PCMA/8000',
    'a=rtpmap:0 PCMU/8000',
    'a=rtpmap:101 telephone-event/8000',
    'a=fmtp:101 0-16',
    'a=ptime:20',
    'a=sendrecv',
    '',
  ])
  assert.deepEqual(bothLaws('pcmu'), ['pcmu', 'pcma'])
})

test('what we offer we can read, and answer', () => {
  const audio = audioOf(bytes(writeOffer(ours, ['pcma', 'pcmu'])))
  assert.deepEqual(termsOf(audio, chooseLaw(audio, null), '198.51.100.7'), {
    remote: { host: '127.0.0.1', port: 20_000 },
    signallingHost: '198.51.100.7',
    law: 'pcma',
    digitsPayloadType: 101,
    digitsFromPhone: [101],
    ptimeMs: 20,
    phoneReceives: true,
    phoneSends: true,
  })
  const answer = readAnswer(bytes(writeAnswer(ours, audio, 'pcma')), ['pcma', 'pcmu'])
  assert.deepEqual(answer.kind === 'audio' && answer.audio.laws, ['pcma'])
})

test('a phone that names digits otherwise than we do is sent its own number, and understood under both', () => {
  for (const type of [96, 106, 127]) {
    const answer = readAnswer(offer(`m=audio 4000 RTP/AVP 0 ${type}`, `a=rtpmap:${type} telephone-event/8000`), ['pcmu', 'pcma'])
    assert(answer.kind === 'audio')
    const { digitsPayloadType, digitsFromPhone } = termsOf(answer.audio, 'pcmu', null)
    assert.deepEqual({ digitsPayloadType, digitsFromPhone }, { digitsPayloadType: type, digitsFromPhone: [101, type] })
  }
})

test('a phone that takes no digits may still send what we offered', () => {
  const { digitsPayloadType, digitsFromPhone } = termsOf(audioOf(offer('m=audio 4000 RTP/AVP 0')), 'pcmu', null)
  assert.deepEqual({ digitsPayloadType, digitsFromPhone }, { digitsPayloadType: null, digitsFromPhone: [101] })
})

test('a phone without digits is answered without digits', () => {
  assert.doesNotMatch(writeAnswer(ours, audioOf(offer('m=audio 4000 RTP/AVP 0')), 'pcmu'), /telephone-event/)
})

test('the law of the other party is taken where the phone speaks it', () => {
  const audio = audioOf(offer('m=audio 4000 RTP/AVP 8 0'))
  assert.equal(chooseLaw(audio, 'pcmu'), 'pcmu')
  assert.equal(chooseLaw(audio, null), 'pcma')
  assert.equal(chooseLaw(audioOf(offer('m=audio 4000 RTP/AVP 8')), 'pcmu'), 'pcma')
})

test('an answer with a law that was not offered, or in another place, is none', () => {
  assert.equal(readAnswer(offer('m=audio 4000 RTP/AVP 8'), ['pcmu']).kind, 'refused')
  assert.equal(readAnswer(offer('m=video 0 RTP/AVP 31', AUDIO), ['pcmu']).kind, 'refused')
  assert.equal(readAnswer(offer('m=audio 0 RTP/AVP 0'), ['pcmu']).kind, 'refused')
})

test('line ends of any kind are read', () => {
  assert.equal(audioOf(bytes([...HEAD, AUDIO].join('\n'))).port, 4000)
})

test('whatever bytes come, reading ends with audio that can be carried or a refusal', () => {
  const mutated = fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 12 })).map(([at, noise]) => {
    const body = Buffer.from(offer(AUDIO, 'a=rtpmap:101 telephone-event/8000', 'a=ptime:20', 'a=sendonly'))
    body.set(noise, Math.min(at % body.length, body.length - noise.length))
    return body
  })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), mutated), (body) => {
      const reading = readOffer(body)
      if (reading.kind === 'refused') return
      const { audio } = reading
      assert(audio.port >= 1 && audio.port <= 65535 && audio.laws.length > 0 && audio.ptimeMs >= 10 && audio.ptimeMs <= 60)
      const again = readOffer(bytes(writeAnswer(ours, audio, chooseLaw(audio, null))))
      assert.equal(again.kind, 'audio')
    }),
    { numRuns: 2000 },
  )
})
