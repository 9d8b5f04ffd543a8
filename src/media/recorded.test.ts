/** Tapes in a call: each channel holds what its row says and no sample more, and recording changes nothing that anybody hears. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { finish, takeChunks } from './clips/tape.ts'
import { play, recordCall, removeLeg, setTerms } from './conversation.ts'
import { tick } from './passage.ts'
import {
  join,
  HEARD_DB,
  legIn,
  makeRig,
  obey,
  phone,
  phoneIn,
  run,
  sendOf,
  tableFor,
  termsOf,
  UNHEARD_DB,
  type Heard,
  type Mode,
  type Phone,
  type Rig,
  type Table,
} from './rig.test.ts'
import { powerDb, sine } from './tone.ts'

const CLIP_HZ = 2130

/** A rig whose recording is kept: by channel all samples so far. */
interface Taped {
  readonly rig: Rig
  readonly channels: number[][]
}

function taped(rig: Rig, tapes: readonly string[]): Taped {
  recordCall(rig.call, tapes, rig.now)
  return { rig, channels: tapes.map(() => []) }
}

function keep({ rig, channels }: Taped): void {
  assert.ok(rig.call.recording)
  for (const { samples } of takeChunks(rig.call.recording)) for (const [i, sample] of samples.entries()) channels[i % channels.length]?.push(sample)
}

function runTaped(taping: Taped, ms: number): void {
  for (let done = 0; done < ms; done += 100) {
    run(taping.rig, Math.min(100, ms - done))
    keep(taping)
  }
}

/** Everything up to now; the rig may go on. */
function tape(taping: Taped): readonly Int16Array[] {
  assert.ok(taping.rig.call.recording)
  finish(taping.rig.call.recording, taping.rig.now)
  keep(taping)
  return taping.channels.map((samples) => Int16Array.from(samples))
}

const HZ = { agent: 440, customer: 700, coach: 1000, second: 1450 } as const
const tonesIn = (samples: Int16Array): readonly string[] =>
  Object.entries(HZ).flatMap(([name, hz]) => {
    const db = powerDb(samples, hz)
    assert.ok(db > HEARD_DB || db < UNHEARD_DB, `${name} is neither there nor not: ${db.toFixed(1)} dB`)
    return db > HEARD_DB ? [name] : []
  })

/** Who belongs to the conversation: what the tapes' rows are, spelled out once more. */
const withTapes = (modes: Readonly<Record<string, Mode>>, rows: Table): Table => ({ ...tableFor(modes), ...rows })

describe('A recorded call', () => {
  for (const mode of ['listen', 'whisper', 'barge'] as const) {
    test(`[C23] In ${mode} each channel has exactly whom its row names`, () => {
      for (const ptimeMs of [10, 20, 30, 60]) {
        const rig = makeRig(phone('agent', { law: 'pcma' }), phone('customer', { ptimeMs }), phone('coach'))
        const barging = mode === 'barge' ? ['coach'] : []
        obey(rig, withTapes({ coach: mode }, { left: ['agent', ...barging], right: ['customer'] }))
        const taping = taped(rig, ['left', 'right'])
        runTaped(taping, 1500)
        const [left, right] = tape(taping)
        assert.ok(left && right)
        assert.deepEqual([left.length, right.length], [12_000, 12_000])
        assert.deepEqual(tonesIn(left.subarray(800, 11_000)), ['agent', ...barging])
        assert.deepEqual(tonesIn(right.subarray(800, 11_000)), ['customer'])
      }
    })
  }

  test('One channel has everybody of the conversation, mixed', () => {
    const rig = makeRig(phone('agent'), phone('customer'), phone('coach'))
    obey(rig, withTapes({ coach: 'whisper' }, { all: ['agent', 'customer'] }))
    const taping = taped(rig, ['all'])
    runTaped(taping, 1500)
    assert.deepEqual(tonesIn((tape(taping)[0] ?? new Int16Array()).subarray(800, 11_000)), ['agent', 'customer'])
  })

  test('[C23] A whisper is never on tape: through any changes of mode each stretch has what the mode of its time allows', () => {
    const modes = fc.array(fc.record({ mode: fc.constantFrom<Mode>('listen', 'whisper', 'barge'), ms: fc.integer({ min: 1, max: 150 }) }), {
      minLength: 2,
      maxLength: 12,
    })
    fc.assert(
      fc.property(modes, fc.integer({ min: 0, max: 19 }), (changes, phaseMs) => {
        // The parties are silent, so that one sample of the coach is seen.
        const rig = makeRig(phone('agent', { hz: 0 }), phone('customer', { hz: 0 }), phone('coach', { phaseMs }))
        obey(rig, withTapes({ coach: 'listen' }, { all: ['agent', 'customer'] }))
        const taping = taped(rig, ['all'])
        runTaped(taping, 300)
        const start = rig.now - 300
        const barges: (readonly [number, number])[] = []
        for (const { mode, ms } of changes) {
          obey(rig, withTapes({ coach: mode }, { all: ['agent', 'customer', ...(mode === 'barge' ? ['coach'] : [])] }))
          if (mode === 'barge') barges.push([(rig.now - start) * 8, (rig.now - start + ms) * 8])
          runTaped(taping, ms)
        }
        const [samples = new Int16Array()] = tape(taping)
        for (const [at, sample] of samples.entries())
          if (sample !== 0)
            assert.ok(
              barges.some(([from, to]) => at >= from && at < to),
              `sample ${at} outside of ${JSON.stringify(barges)}`,
            )
        for (const [from, to] of barges) {
          const heard = samples.subarray(from, to - 160 - 8).filter((sample) => sample !== 0).length
          assert.ok(to - from < 400 || heard > 0.7 * (to - from - 360), `the barge of ${to - from} samples has ${heard}`)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('[C25] Recording changes no byte, number or moment of what anybody receives', () => {
    const FATES = ['arrives', 'arrives', 'arrives', 'lost', 'doubled', 'swapped'] as const
    const traceOf = (heard: readonly Heard[]) => heard.map(({ at, copy }) => `${at} ${Buffer.from(copy).toString('hex')}`)
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...FATES), { minLength: 1, maxLength: 12 }),
        fc.constantFrom<Mode>('listen', 'whisper', 'barge'),
        (fates, mode) => {
          const fate: Phone['fate'] = (n) => fates[n % fates.length] ?? 'arrives'
          const call = (): Rig => makeRig(phone('agent', { fate, law: 'pcma' }), phone('customer', { fate, ptimeMs: 30 }), phone('coach', { fate }))
          const [plain, recorded] = [call(), call()]
          for (const rig of [plain, recorded]) {
            const tapes = rig === plain ? {} : { left: ['agent', 'coach'], right: ['customer', 'agent'] }
            obey(rig, { ...tableFor({ coach: 'listen' }), ...tapes })
            run(rig, 200)
            if (rig === recorded) recordCall(rig.call, ['left', 'right'], rig.now)
            run(rig, 200)
            obey(rig, { ...tableFor({ coach: mode }), ...tapes })
            run(rig, 300)
          }
          for (const ear of ['agent', 'customer', 'coach'])
            assert.deepEqual(traceOf(phoneIn(recorded, ear).heard), traceOf(phoneIn(plain, ear).heard))
        },
      ),
      { numRuns: 40 },
    )
  })

  test('A recording that begins late holds the call from there on', () => {
    const rig = makeRig(phone('agent'), phone('customer'))
    obey(rig, withTapes({}, { all: ['agent', 'customer'] }))
    run(rig, 1007)
    const taping = taped(rig, ['all'])
    runTaped(taping, 1000)
    const [samples] = tape(taping)
    assert.ok(samples && samples.length === 8000)
    assert.deepEqual(tonesIn(samples.subarray(0, 7800)), ['agent', 'customer'])
  })

  test('Without a row there is silence; so there is for a leg without a row of its own, for a stranger and for a phone on hold', () => {
    const rig = makeRig(phone('agent'), phone('customer'))
    const { agent, customer } = tableFor({})
    obey(rig, { agent: agent ?? [] })
    const taping = taped(rig, ['left', 'right'])
    runTaped(taping, 500)
    obey(rig, { agent: agent ?? [], left: ['customer', 'nobody'], right: ['left'] })
    runTaped(taping, 500)
    obey(rig, { agent: agent ?? [], customer: customer ?? [], left: ['customer', 'customer'] })
    setTerms(rig.call, legIn(rig, 'customer'), termsOf(phoneIn(rig, 'customer'), { phoneSends: false }), rig.now)
    runTaped(taping, 500)
    const held = rig.now
    setTerms(rig.call, legIn(rig, 'customer'), termsOf(phoneIn(rig, 'customer')), rig.now)
    runTaped(taping, 700)
    const [left, right] = tape(taping)
    assert.ok(left && right && left.length === 2200 * 8)
    assert.ok(right.every((sample) => sample === 0))
    const silent = (held - (rig.now - 2200)) * 8
    assert.ok(left.subarray(0, silent).every((sample) => sample === 0))
    const heard = left.subarray(silent + 400, -400)
    assert.deepEqual(tonesIn(heard), ['customer'])
    assert.ok(Math.abs(powerDb(heard, HZ.customer) + 12.2) < 0.5, 'named twice it is not twice as loud')
  })

  test('Who joins late is on it from the table that says so; who leaves stays on it up to then', () => {
    const rig = makeRig(phone('agent'), phone('customer'))
    obey(rig, withTapes({}, { all: ['agent', 'customer'] }))
    const taping = taped(rig, ['all'])
    runTaped(taping, 600)
    join(rig, phone('second'))
    runTaped(taping, 100)
    obey(rig, withTapes({ second: 'barge' }, { all: ['agent', 'customer', 'second'] }))
    runTaped(taping, 600)
    removeLeg(rig.call, legIn(rig, 'customer'), rig.now)
    rig.phones.delete('customer')
    runTaped(taping, 600)
    const [samples] = tape(taping)
    assert.ok(samples)
    const piece = (fromMs: number, toMs: number): readonly string[] => tonesIn(samples.subarray(fromMs * 8, toMs * 8))
    assert.deepEqual(piece(50, 695), ['agent', 'customer'])
    assert.deepEqual(piece(730, 1270), ['agent', 'customer', 'second'])
    assert.deepEqual(piece(1310, 1880), ['agent', 'second'])
  })

  test('A clip is on the tapes that hear it, to its last sample', () => {
    const rig = makeRig(phone('agent', { isTalking: false }))
    obey(rig, { agent: ['wait'], left: ['wait'], right: ['agent'] })
    const taping = taped(rig, ['left', 'right'])
    const samples = sine(CLIP_HZ, 4001)
    play(rig.call, 'wait', { samples, repeats: false }, rig.now)
    runTaped(taping, 1000)
    const [left, right] = tape(taping)
    assert.deepEqual(left?.subarray(0, 4001), samples)
    assert.ok(left?.subarray(4001).every((sample) => sample === 0))
    assert.ok(right?.every((sample) => sample === 0))
    assert.deepEqual(
      rig.played.map(({ id }) => id),
      ['wait'],
    )
  })

  test('Once a call, with one tape or two different ones', () => {
    const rig = makeRig(phone('agent'))
    for (const tapes of [[], ['a', 'a'], ['a', 'b', 'c']]) assert.throws(() => recordCall(rig.call, tapes, rig.now), /one tape or two/)
    assert.equal(rig.call.recording, null)
    recordCall(rig.call, ['a'], rig.now)
    assert.throws(() => recordCall(rig.call, ['b'], rig.now), /recorded already/)
    tick(rig.call, rig.now, sendOf(rig))
  })
})
