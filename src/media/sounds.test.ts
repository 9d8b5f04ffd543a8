/** Clips in a call: heard by exactly the ears of their rows, cleanly, beside whatever else those hear; over when they are over. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MAX_SOUNDS } from './clips/player.ts'
import { play, setTerms } from './conversation.ts'
import { decode, encode, type Law } from './g711.ts'
import {
  assertContinuous,
  assertHears,
  HEARD_DB,
  isSound,
  join,
  legIn,
  levelDb,
  makeRig,
  obey,
  phone,
  phoneIn,
  run,
  soundSince,
  tableFor,
  termsOf,
  UNHEARD_DB,
  type Phone,
  type Rig,
  type Table,
} from './rig.test.ts'
import { timestampAhead } from './rtp.ts'
import { powerDb, sine } from './tone.ts'

const CLIP_HZ = 2130
const CHIME_HZ = 2390
const SECOND = 8000

const start = (rig: Rig, id: string, samples = sine(CLIP_HZ, SECOND), repeats = false): void => play(rig.call, id, { samples, repeats }, rig.now)

/** A table with clips added to rows. */
const withClips = (table: Table, clips: Table): Table =>
  Object.fromEntries([...new Set([...Object.keys(table), ...Object.keys(clips)])].map((ear) => [ear, [...(table[ear] ?? []), ...(clips[ear] ?? [])]]))

const clipDb = (rig: Rig, ear: string, since: number, hz = CLIP_HZ): number => powerDb(soundSince(rig, ear, since), hz)

/** The codes that an ear was sent since a moment, by the time of the ear: what is missing is null. */
function timeline(rig: Rig, ear: string, since: number): readonly (number | null)[] {
  const packets = phoneIn(rig, ear).heard.filter((heard) => heard.at >= since && isSound(heard))
  const [first] = packets
  if (first === undefined) return []
  const codes: (number | null)[] = []
  for (const { packet, payload } of packets) {
    const at = timestampAhead(packet.timestamp, first.packet.timestamp)
    while (codes.length < at) codes.push(null)
    for (const [i, code] of payload.entries()) codes[at + i] = code
  }
  return codes
}

describe('A sound before the conversation', () => {
  for (const law of ['pcmu', 'pcma'] as const) {
    for (const ptimeMs of [10, 20, 30, 60]) {
      test(`Who waits hears it from its first sample, complete and bit for bit, in ${law} and packets of ${ptimeMs} ms`, () => {
        const rig = makeRig(phone('agent', { law, ptimeMs }))
        obey(rig, { agent: ['wait'] })
        run(rig, 3)
        const since = rig.now
        const samples = sine(437, 5000)
        start(rig, 'wait', samples)
        run(rig, 2000)
        const { heard } = phoneIn(rig, 'agent')
        assert.ok((heard[0]?.at ?? 0) - since <= 10, 'it begins at once')
        assert.equal(heard[0]?.packet.marker, true)
        assert.ok(heard.every(({ payload, packet }) => payload.length === ptimeMs * 8 && packet.payloadType === (law === 'pcmu' ? 0 : 8)))
        const codes = timeline(rig, 'agent', since)
        assert.deepEqual(codes.slice(0, 5000), [...encode(law, samples)])
        assert.ok(
          codes.slice(5000).every((code) => code === (law === 'pcmu' ? 0xff : 0xd5)),
          'after it there is silence',
        )
        assertContinuous(rig, 'agent')
        assert.deepEqual(
          rig.played.map(({ id }) => id),
          ['wait'],
        )
      })
    }
  }

  test('It goes on without a glitch when the conversation begins, and without one when that ends', () => {
    for (const phaseMs of [0, 3, 7, 11, 19]) {
      const rig = makeRig(phone('agent', { isTalking: false }))
      obey(rig, { agent: ['wait'] })
      start(rig, 'wait', sine(CLIP_HZ, 800), true)
      run(rig, 500)
      join(rig, phone('customer', { phaseMs }))
      obey(rig, withClips(tableFor({}), { agent: ['wait'] }))
      const since = rig.now
      run(rig, 1000)
      assert.ok(levelDb(rig, 'agent', 'customer', since) > HEARD_DB)
      phoneIn(rig, 'customer').isTalking = false
      run(rig, 1000)
      assertContinuous(rig, 'agent')
      const codes = timeline(rig, 'agent', 0)
      const gaps = codes.filter((code) => code === null).length
      assert.ok(gaps <= 8 * 20, `phase ${phaseMs}: ${gaps} samples of the ear's time are missing`)
      for (let at = 0; at + 800 < codes.length; at += 400) {
        const piece = Uint8Array.from(codes.slice(at, at + 800), (code) => code ?? 0xff)
        assert.ok(powerDb(decode('pcmu', piece), CLIP_HZ) > -16, `phase ${phaseMs}: at ${at / 8} ms`)
      }
    }
  })

  test('The table that does not name it any more ends it at once, and nobody is told', () => {
    const rig = makeRig(phone('agent'))
    obey(rig, { agent: ['wait'] })
    start(rig, 'wait', sine(CLIP_HZ, SECOND), true)
    run(rig, 500)
    assert.ok(clipDb(rig, 'agent', 0) > HEARD_DB)
    join(rig, phone('customer'))
    obey(rig, tableFor({}))
    const since = rig.now
    run(rig, 500)
    assert.ok(clipDb(rig, 'agent', since) < UNHEARD_DB)
    obey(rig, { agent: ['wait'] })
    run(rig, 500)
    assert.ok(clipDb(rig, 'agent', since) < UNHEARD_DB, 'being named again does not bring it back')
    assert.deepEqual(rig.played, [])
  })
})

describe('A sound in a conversation', () => {
  const rows: readonly (readonly string[])[] = [
    ['agent'],
    ['customer'],
    ['agent', 'customer'],
    ['coach'],
    ['agent', 'coach'],
    ['agent', 'customer', 'coach'],
  ]
  for (const ears of rows) {
    test(`It is heard above the others by exactly its row: ${ears.join(', ')}`, () => {
      for (const laws of [
        ['pcmu', 'pcmu', 'pcmu'],
        ['pcma', 'pcmu', 'pcma'],
      ] as const) {
        for (const mode of ['listen', 'whisper', 'barge'] as const) {
          const [law = 'pcmu', ...others] = laws as readonly Law[]
          const rig = makeRig(
            phone('agent', { law }),
            phone('customer', { law: others[0] ?? 'pcmu', ptimeMs: 30 }),
            phone('coach', { law: others[1] ?? 'pcmu' }),
          )
          const table = tableFor({ coach: mode })
          obey(rig, withClips(table, Object.fromEntries(ears.map((ear) => [ear, ['chime']]))))
          run(rig, 500)
          const since = rig.now
          start(rig, 'chime')
          run(rig, 800)
          assertHears(rig, table, since, mode)
          for (const ear of rig.phones.keys()) {
            const db = clipDb(rig, ear, since)
            assert.ok(ears.includes(ear) ? db > HEARD_DB : db < UNHEARD_DB, `${mode}: ${ear} ${db.toFixed(1)} dB`)
            assertContinuous(rig, ear)
          }
        }
      }
    })
  }

  test('[C25] It changes no number, time or length of a packet of the conversation, and nothing at all at ears that do not hear it', () => {
    const fate: Phone['fate'] = (n) => (['arrives', 'arrives', 'lost', 'swapped', 'doubled', 'arrives'] as const)[n % 6] ?? 'arrives'
    // Where a packet of theirs is missing our clock fills in, as it does for a whisper.
    const doubled: Phone['fate'] = (n) => (n % 5 === 2 ? 'doubled' : 'arrives')
    const conversation = (): Rig => makeRig(phone('agent', { fate }), phone('customer', { fate: doubled, ptimeMs: 30 }))
    const [plain, sounding] = [conversation(), conversation()]
    for (const rig of [plain, sounding]) {
      obey(rig, rig === plain ? tableFor({}) : withClips(tableFor({}), { agent: ['chime'] }))
      run(rig, 300)
      if (rig === sounding) start(rig, 'chime')
      run(rig, 1500)
    }
    const stamps = (rig: Rig) =>
      phoneIn(rig, 'agent').heard.map(({ at, packet, payload }) => [at, packet.sequence, packet.timestamp, packet.marker, payload.length])
    assert.deepEqual(stamps(sounding), stamps(plain))
    const all = (rig: Rig) => phoneIn(rig, 'customer').heard.map(({ at, copy }) => [at, Buffer.from(copy).toString('hex')])
    assert.deepEqual(all(sounding), all(plain))
    assert.ok(clipDb(sounding, 'agent', 1_000_300) > HEARD_DB)
  })

  test('Packets that are lost, doubled or swapped carry what is theirs: the ear that puts them in order hears the clip as it is', () => {
    for (const fate of ['lost', 'doubled', 'swapped'] as const) {
      const rig = makeRig(phone('agent'), phone('customer', { fate: (n) => (n % 7 === 3 ? fate : 'arrives') }))
      const silence = new Uint8Array(160).fill(0xff)
      obey(rig, withClips(tableFor({}), { agent: ['chime'] }))
      run(rig, 400)
      const since = rig.now
      const samples = sine(437, SECOND)
      start(rig, 'chime', samples)
      // Nobody else speaks, but packets come.
      rig.phones.forEach((each) => Object.assign(each, { hz: 0 }))
      run(rig, 1300)
      const codes = timeline(rig, 'agent', since)
      const clip = encode('pcmu', samples)
      const begin = codes.findIndex((code) => code !== null && code !== silence[0])
      const wrong = [...clip].filter((code, i) => codes[begin + i - 1] !== code && codes[begin + i - 1] !== null && i > 0)
      assert.ok(wrong.length < 200, `${fate}: ${wrong.length} samples are not the clip's`)
    }
  })

  test('The other party falls silent in the middle: the clip goes on', () => {
    const rig = makeRig(phone('agent'), phone('customer'))
    obey(rig, withClips(tableFor({}), { agent: ['chime'] }))
    run(rig, 300)
    start(rig, 'chime', sine(CLIP_HZ, 3 * SECOND))
    for (let i = 0; i < 6; i++) {
      phoneIn(rig, 'customer').isTalking = i % 2 === 0
      const since = rig.now
      run(rig, 450)
      assert.ok(clipDb(rig, 'agent', since + 60) > HEARD_DB, `turn ${i}`)
    }
    assertContinuous(rig, 'agent')
  })

  test('Several at once are all heard', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    obey(rig, withClips(tableFor({ coach: 'listen' }), { agent: ['one', 'two'], coach: ['two'] }))
    start(rig, 'one')
    start(rig, 'two', sine(CHIME_HZ, SECOND))
    run(rig, 900)
    const since = rig.now - 600
    assert.ok(clipDb(rig, 'agent', since) > HEARD_DB && clipDb(rig, 'agent', since, CHIME_HZ) > HEARD_DB)
    assert.ok(clipDb(rig, 'coach', since) < UNHEARD_DB && clipDb(rig, 'coach', since, CHIME_HZ) > HEARD_DB)
  })

  test('On hold it goes on unheard, and is back where it is by then', () => {
    const rig = makeRig(phone('agent', { isTalking: false }))
    obey(rig, { agent: ['wait'] })
    const samples = Int16Array.from({ length: 3 * SECOND }, (_, i) => 8 * Math.floor(i / 8))
    start(rig, 'wait', samples)
    run(rig, 500)
    const agent = phoneIn(rig, 'agent')
    setTerms(rig.call, legIn(rig, 'agent'), termsOf(agent, { phoneReceives: false }), rig.now)
    const held = agent.heard.length
    run(rig, 1000)
    assert.equal(agent.heard.length, held)
    setTerms(rig.call, legIn(rig, 'agent'), termsOf(agent), rig.now)
    run(rig, 100)
    const back = decode('pcmu', agent.heard[held]?.payload ?? new Uint8Array())[0] ?? 0
    assert.ok(Math.abs(back - 1500 * 8) < 600, `${back} instead of ${1500 * 8}`)
    assertContinuous(rig, 'agent')
  })
})

describe('The end of a sound', () => {
  test('It is told once, when the last of it has been sent, in the order of the ends', () => {
    const rig = makeRig(phone('agent'), phone('customer'))
    obey(rig, withClips(tableFor({}), { agent: ['long', 'short', 'empty', 'endless'], customer: ['long'] }))
    run(rig, 200)
    const since = rig.now
    start(rig, 'long', sine(CLIP_HZ, SECOND))
    start(rig, 'short', sine(CHIME_HZ, 4000))
    start(rig, 'empty', new Int16Array())
    start(rig, 'endless', sine(1730, 1600), true)
    run(rig, 4000)
    assert.deepEqual(
      rig.played.map(({ id }) => id),
      ['empty', 'short', 'long'],
    )
    for (const [i, ms] of [0, 500, 1000].entries()) {
      const late = (rig.played[i]?.at ?? 0) - since - ms
      assert.ok(late >= 0 && late <= 60, `${rig.played[i]?.id}: ${late} ms late`)
    }
    for (const ear of ['agent', 'customer']) {
      const after = phoneIn(rig, ear).heard.filter(({ at }) => at > (rig.played[2]?.at ?? 0))
      assert.ok(powerDb(decode('pcmu', Buffer.concat(after.map(({ payload }) => payload))), CLIP_HZ) < UNHEARD_DB)
    }
  })

  test('Unheard, on hold or without a phone, it ends by our clock', () => {
    const rig = makeRig(phone('agent'))
    setTerms(rig.call, legIn(rig, 'agent'), termsOf(phoneIn(rig, 'agent'), { phoneReceives: false }), rig.now)
    obey(rig, { agent: ['held'], nobody: ['alone'] })
    const since = rig.now
    start(rig, 'held')
    start(rig, 'alone')
    run(rig, 3000)
    assert.deepEqual(
      rig.played.map(({ id }) => id),
      ['held', 'alone'],
    )
    assert.ok(rig.played.every(({ at }) => at - since >= 1000 && at - since <= 1010))
  })

  test('One that no row names does not begin; one that plays does not begin again', () => {
    const rig = makeRig(phone('agent'))
    start(rig, 'unnamed')
    obey(rig, { agent: ['unnamed', 'named'] })
    run(rig, 1500)
    assert.deepEqual(rig.played, [])
    start(rig, 'named')
    run(rig, 500)
    start(rig, 'named')
    run(rig, 2000)
    assert.deepEqual(
      rig.played.map(({ id }) => id),
      ['named'],
    )
    assert.ok(phoneIn(rig, 'agent').heard.filter(isSound).length < 60)
  })

  test('There is a limit of sounds in a call, and of their length', () => {
    const rig = makeRig(phone('agent'))
    const ids = Array.from({ length: MAX_SOUNDS + 1 }, (_, i) => `sound ${i}`)
    obey(rig, { agent: [...ids, 'long'] })
    assert.throws(() => start(rig, 'long', new Int16Array(600 * SECOND + 1)), /10 minutes/)
    for (const id of ids.slice(0, -1)) start(rig, id)
    assert.throws(() => start(rig, ids.at(-1) ?? ''), /16 sounds/)
    assert.equal(rig.call.sounds.size, MAX_SOUNDS)
    run(rig, 2000)
    start(rig, ids.at(-1) ?? '')
    assert.equal(rig.call.sounds.size, 1)
  })
})
