/**
 * Sound in figures. The media plane counts per leg; here its figures become sums over all legs, which rise when a leg's are read: at
 * its end, and for legs that live when somebody reads the metrics.
 */
import { Counter, Histogram, type Registry } from 'prom-client'
import type { LegId } from '../domain/ids.ts'
import type { MediaCounters, MediaPlane } from '../engine/native/media-plane.ts'

/** Runs a bit of counting; a fault in it reaches nobody. */
type Safely = (count: () => void) => void

export interface MediaCounting {
  watch(plane: MediaPlane, safely: Safely): MediaPlane
  /** Reads live legs, those first that were not read for longest. */
  sample(safely: Safely): Promise<void>
}

/** Live legs that one reading of the metrics asks about; the rest has its turn at the next ones. */
export const SAMPLED_LEGS = 500
const JITTER_BUCKETS_S = [0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2]

/** Each sum, and where it is found in a leg's figures. */
const SUMS: readonly (readonly [keyof MediaCounters, name: string, help: string])[] = [
  ['packetsIn', 'earshot_media_packets_received_total', 'RTP packets taken from phones.'],
  ['packetsOut', 'earshot_media_packets_sent_total', 'RTP packets sent to phones.'],
  ['lostIn', 'earshot_media_packets_lost_received_total', 'RTP packets of phones that did not arrive here.'],
  ['lostOut', 'earshot_media_packets_lost_sent_total', 'RTP packets of ours that phones say did not arrive there.'],
  ['strangers', 'earshot_media_stranger_packets_total', 'Packets on the port of a leg from an address that is not its phone.'],
  ['malformed', 'earshot_media_malformed_packets_total', 'Packets that were no RTP, of an unknown payload type, or too large.'],
  ['overflows', 'earshot_media_overflows_total', 'Frames thrown away because the queue of an ear was full.'],
  ['starvations', 'earshot_media_starvations_total', 'Moments at which the queue of an ear ran dry.'],
  ['lateTicks', 'earshot_media_late_ticks_total', 'Frame times that the clock of the mixer reached so late that they were skipped.'],
]

export function makeMediaCounting(registry: Registry): MediaCounting {
  const registers = [registry]
  const sums = SUMS.map(([key, name, help]) => ({ key, counter: new Counter({ name, help, registers }) }))
  const jitter = new Histogram({
    name: 'earshot_media_jitter_seconds',
    help: 'Interarrival jitter (RFC 3550 section 6.4.1) of legs at their end, of those that sent something.',
    buckets: JITTER_BUCKETS_S,
    registers,
  })
  /** Live legs and how much of each sum was counted of them; the leg that was read last is at the end. */
  const counted = new Map<LegId, readonly number[]>()
  let watched: MediaPlane | null = null

  /** Counts what has grown since. A figure that fell (a packet given up for lost came after all) is not taken back, nor counted again when it rises. */
  function add(before: readonly number[], now: MediaCounters): readonly number[] {
    return sums.map(({ key, counter }, at) => {
      const [was, is] = [before[at] ?? 0, now[key] ?? 0]
      if (is > was) counter.inc(is - was)
      return Math.max(was, is)
    })
  }

  return {
    watch(plane, safely) {
      watched = plane
      return {
        ...plane,
        async open(callId, legId, kind) {
          const port = await plane.open(callId, legId, kind)
          counted.set(legId, [])
          return port
        },
        async close(legId) {
          const last = await plane.close(legId).catch((error: unknown) => {
            counted.delete(legId)
            throw error
          })
          const before = counted.get(legId)
          counted.delete(legId)
          if (last !== null && before !== undefined)
            safely(() => {
              add(before, last)
              if (last.packetsIn > 0) jitter.observe(last.jitterMs / 1000)
            })
          return last
        },
      }
    },
    async sample(safely) {
      const legIds = [...counted.keys()].slice(0, SAMPLED_LEGS)
      await Promise.all(
        legIds.map(async (legId) => {
          const now = await watched?.counters(legId)
          const before = counted.get(legId)
          // The leg may have ended meanwhile, and is counted then.
          if (now === undefined || now === null || before === undefined) return
          counted.delete(legId)
          safely(() => counted.set(legId, add(before, now)))
        }),
      )
    },
  }
}
