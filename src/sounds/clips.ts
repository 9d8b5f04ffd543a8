/**
 * Sounds that customers name by URL (contract C30): fetched under the same address guard as callbacks, read, and kept for a while.
 *
 * One rule: a stranger's file costs little. It is bounded in bytes and in time, redirects are not followed, and what waits or is kept
 * is bounded too. Whatever is wrong with it is one error with a reason, and the call goes on without the sound.
 */
import { Agent, request } from 'undici'
import type { Clip } from '../engine/engine.ts'
import { readWav } from '../media/clips/wav.ts'
import { guardedConnector, type GuardedConnectorOptions } from '../webhooks/guard.ts'

export interface Clips {
  /**
   * The sound at that address; one that was fetched lately is not fetched again, and two who ask at once share one fetch.
   * @throws {ClipError}
   */
  get(url: string): Promise<Clip>
  close(): Promise<void>
}

/** A sound that cannot be had. The message is for the log; it does not repeat the address. */
export class ClipError extends Error {
  override readonly name = 'ClipError'
}

export interface ClipsOptions extends Omit<GuardedConnectorOptions, 'timeoutMs'> {
  readonly now: () => number
  /** From the first look-up to the last byte. Default 10 s. */
  readonly timeoutMs?: number
  /** Of one file. Default 4 MiB; the vendor advises to stay below 2 MB. */
  readonly maxBytes?: number
}

const TIMEOUT_MS = 10_000
const MAX_BYTES = 4 * 1024 * 1024
/** Fetches under way at most; whoever asks for one more is refused. */
const MAX_FETCHES = 20
/** A kept sound is fetched anew after this long. */
export const KEPT_MS = 10 * 60_000
/** Samples of all kept sounds together: 32 MiB. The one that was fetched first goes first. */
const MAX_KEPT_SAMPLES = 16 * 1024 * 1024

export function makeClips({ guard, lookup, now, timeoutMs = TIMEOUT_MS, maxBytes = MAX_BYTES }: ClipsOptions): Clips {
  const connect = guardedConnector({ guard, timeoutMs, ...(lookup ? { lookup } : {}) })
  const agent = new Agent({ connect, pipelining: 1, headersTimeout: timeoutMs, bodyTimeout: timeoutMs, maxResponseSize: maxBytes })
  const kept = new Map<string, { readonly clip: Clip; readonly since: number }>()
  const underWay = new Map<string, Promise<Clip>>()
  let keptSamples = 0

  function drop(url: string): void {
    keptSamples -= kept.get(url)?.clip.samples.length ?? 0
    kept.delete(url)
  }

  function keep(url: string, clip: Clip): void {
    drop(url)
    for (const oldest of kept.keys()) {
      if (keptSamples + clip.samples.length <= MAX_KEPT_SAMPLES) break
      drop(oldest)
    }
    kept.set(url, { clip, since: now() })
    keptSamples += clip.samples.length
  }

  async function load(url: string): Promise<Clip> {
    const read = readWav(await download(agent, url, { timeoutMs, maxBytes }))
    if (read.kind === 'refused') throw new ClipError(read.reason)
    const clip: Clip = { samples: read.samples }
    keep(url, clip)
    return clip
  }

  return {
    async get(url) {
      const known = kept.get(url)
      if (known !== undefined && now() - known.since < KEPT_MS) return known.clip
      const running = underWay.get(url)
      if (running !== undefined) return running
      if (underWay.size >= MAX_FETCHES) throw new ClipError(`${MAX_FETCHES} sounds are being fetched already`)
      const loading = load(url).finally(() => underWay.delete(url))
      underWay.set(url, loading)
      return loading
    },
    close: () => agent.destroy(),
  }
}

interface Limits {
  readonly timeoutMs: number
  readonly maxBytes: number
}

async function download(agent: Agent, text: string, { timeoutMs, maxBytes }: Limits): Promise<Uint8Array> {
  try {
    const { statusCode, headers, body } = await request(text, { dispatcher: agent, signal: AbortSignal.timeout(timeoutMs) })
    const announced = Number(headers['content-length'] ?? 0)
    const refusal = statusCode !== 200 ? `the answer is HTTP ${statusCode}` : announced > maxBytes ? tooLarge(maxBytes) : null
    if (refusal !== null) {
      // It ends with an error of its own, which says nothing new.
      body.on('error', () => {}).destroy()
      throw new ClipError(refusal)
    }
    return new Uint8Array(await body.arrayBuffer())
  } catch (error) {
    if (error instanceof ClipError) throw error
    const name = error instanceof Error ? error.name : ''
    const reason = /Timeout/.test(name)
      ? `not there within ${timeoutMs} ms`
      : name === 'ResponseExceededMaxSizeError'
        ? tooLarge(maxBytes)
        : 'it cannot be fetched'
    throw new ClipError(reason, { cause: error })
  }
}

const tooLarge = (maxBytes: number): string => `the file is larger than ${Math.floor(maxBytes / 1024)} KiB`
