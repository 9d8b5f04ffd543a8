/**
 * What `media.ts` measures, in a process of its own: the media plane as the server runs it (worker thread and all, but no
 * SIP, HTTP or database), or the bare relay.
 */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Ear, Mouth } from '../src/domain/hearing.ts'
import type { CallId, LegId, SoundId, TapeId } from '../src/domain/ids.ts'
import type { Mode } from '../src/domain/leg.ts'
import { makeMediaPlane } from '../src/engine/native/media/media-thread.ts'
import { openBareRelay } from './bare-relay.ts'

export type Subject = 'bare relay' | 'media plane'

export type MediaOrder =
  /** By call, the ports of agent, customer and, in a monitored call, supervisor. */
  | { readonly kind: 'open'; readonly phonePorts: readonly (readonly number[])[] }
  /** For every supervisor. */
  | { readonly kind: 'mode'; readonly mode: Mode }
  /** A sound that repeats, for both parties of every call; digital silence, so that what the parties say can still be read. */
  | { readonly kind: 'sound'; readonly isOn: boolean }
  /** Every call, from now on, each party on a channel of their own. */
  | { readonly kind: 'record'; readonly folder: string }

/** The answer to each order; `ports` is empty but for `open`. */
export interface MediaTold {
  readonly ports: readonly (readonly number[])[]
}

const HOST = '127.0.0.1'
/** In life a socket is bound to its phone after ten seconds; here within the warm-up. */
const SETTLE_MS = 1_000
const BOSS = 2
const SOUND = 'sound' as SoundId
const TAPES = ['left' as TapeId, 'right' as TapeId]
/** A second of it; both threads share one copy. */
const CLIP = { samples: new Int16Array(8000) }

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const carryOut = process.argv[2] === ('bare relay' satisfies Subject) ? relay : plane()
  process.on('message', async (order) => process.send?.({ ports: await carryOut(order as MediaOrder) } satisfies MediaTold))
  process.on('disconnect', () => process.exit())
}

/** A call that broke would be measured as a cheap one. */
function giveUp(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

async function relay(order: MediaOrder): Promise<MediaTold['ports']> {
  if (order.kind !== 'open') return []
  return await Promise.all(order.phonePorts.map(([agent = 0, customer = 0]) => openBareRelay(HOST, [agent, customer])))
}

function plane(): (order: MediaOrder) => Promise<MediaTold['ports']> {
  const media = makeMediaPlane({
    host: HOST,
    portMin: 20_000,
    portMax: 31_998,
    settleMs: SETTLE_MS,
    onTrouble: (message) => giveUp(message),
  })
  const started = media.start()
  /** How many legs each call has. */
  let calls: readonly number[] = []
  const legId = (call: number, leg: number): LegId => `${call}-${leg}` as LegId

  let sounds: readonly SoundId[] = []
  let isRecorded = false

  const setMode = async (call: number, mode: Mode): Promise<void> => {
    const [agent, customer, boss] = [legId(call, 0), legId(call, 1), legId(call, BOSS)]
    const isMonitored = calls[call] === 3
    const hearing = new Map<Ear, readonly Mouth[]>([
      [agent, [customer, ...(isMonitored && mode !== 'listen' ? [boss] : []), ...sounds]],
      [customer, [agent, ...(isMonitored && mode === 'barge' ? [boss] : []), ...sounds]],
    ])
    if (isMonitored) hearing.set(boss, [agent, customer])
    for (const [at, tape] of TAPES.entries()) if (isRecorded) hearing.set(tape, [at === 0 ? agent : customer])
    await media.setHearing(String(call) as CallId, hearing)
  }
  const open = async (call: number, phonePorts: readonly number[]): Promise<readonly number[]> => {
    const ports: number[] = []
    for (const [leg, phonePort] of phonePorts.entries()) {
      const { port } = await media.open(String(call) as CallId, legId(call, leg), leg === BOSS ? 'monitor' : 'conversation')
      const remote = { host: HOST, port: phonePort }
      await media.connect(legId(call, leg), {
        remote,
        signallingHost: null,
        law: 'pcmu',
        digitsPayloadType: 101,
        digitsFromPhone: [101],
        ptimeMs: 20,
        phoneReceives: true,
        phoneSends: true,
      })
      ports.push(port)
    }
    await setMode(call, 'listen')
    return ports
  }
  return async (order) => {
    await started
    if (order.kind === 'mode') {
      await Promise.all(calls.map((_legs, call) => setMode(call, order.mode)))
      return []
    }
    if (order.kind === 'sound' || order.kind === 'record') {
      sounds = order.kind === 'sound' && order.isOn ? [SOUND] : []
      isRecorded ||= order.kind === 'record'
      for (const call of calls.keys()) {
        const callId = String(call) as CallId
        await setMode(call, 'listen')
        if (sounds.length > 0) await media.play({ callId, soundId: SOUND, clip: CLIP, repeats: true })
        // Not all at once, as in life: each writes every half second.
        if (order.kind === 'record') await media.record({ callId, file: join(order.folder, `${call}.wav`), tapes: TAPES })
        await pause(2)
      }
      return []
    }
    calls = order.phonePorts.map((legs) => legs.length)
    return await Promise.all(order.phonePorts.map((phonePorts, call) => open(call, phonePorts)))
  }
}
