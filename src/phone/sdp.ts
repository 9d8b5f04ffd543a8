/**
 * The little SDP that a telephone needs (RFC 4566, RFC 3264): one audio stream, one law of G.711, keys as RFC 4733.
 *
 * Lines it does not know are skipped; what it cannot use is null and is refused with 488.
 */
import { type Law, lawOf, PAYLOAD_TYPE } from '../media/g711.ts'

/** Which way sound may flow, from the side that says it. */
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive'

export interface Description {
  readonly host: string
  readonly port: number
  /** The laws that it names, best first. */
  readonly laws: readonly Law[]
  /** Null when it takes no keys. */
  readonly digitsPayloadType: number | null
  readonly direction: Direction
  readonly ptimeMs: number
}

/** What the phones of this room ask keys to be sent as. */
export const DIGITS_PAYLOAD_TYPE = 101
const DEFAULT_PTIME_MS = 20
const DIRECTIONS: readonly Direction[] = ['sendrecv', 'sendonly', 'recvonly', 'inactive']

/** @param version Rises with every new description of a session (RFC 3264 §8). */
export function writeDescription(described: Description, version: number): Uint8Array {
  const { host, port, laws, digitsPayloadType: digits, direction, ptimeMs } = described
  const types = [...laws.map((law) => PAYLOAD_TYPE[law]), ...(digits === null ? [] : [digits])]
  const lines = [
    'v=0',
    `o=- ${port} ${version} IN IP4 ${host}`,
    's=-',
    `c=IN IP4 ${host}`,
    't=0 0',
    `m=audio ${port} RTP/AVP ${types.join(' ')}`,
    ...laws.map((law) => `a=rtpmap:${PAYLOAD_TYPE[law]} ${law.toUpperCase()}/8000`),
    ...(digits === null ? [] : [`a=rtpmap:${digits} telephone-event/8000`, `a=fmtp:${digits} 0-15`]),
    `a=ptime:${ptimeMs}`,
    `a=${direction}`,
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n`)
}

/** Null when there is no audio stream that a telephone could use. */
export function readDescription(body: Uint8Array): Description | null {
  const lines = Buffer.from(body).toString('utf8').split(/\r?\n/)
  const start = lines.findIndex((line) => line.startsWith('m=audio '))
  if (start < 0) return null
  const next = lines.findIndex((line, index) => index > start && line.startsWith('m='))
  const media = lines.slice(start, next < 0 ? undefined : next)
  const session = lines.slice(
    0,
    lines.findIndex((line) => line.startsWith('m=')),
  )
  const [, port, protocol, ...types] = (media[0] ?? '').trim().split(/[ =]/).slice(1)
  const host = connection(media) ?? connection(session)
  if (protocol !== 'RTP/AVP' || host === null || !/^\d{1,5}$/.test(port ?? '')) return null
  const laws = types.map((type) => namedLaw(Number(type), media)).filter((law) => law !== null)
  return {
    host,
    laws,
    port: Number(port),
    digitsPayloadType: types.map(Number).find((type) => codecOf(type, media)?.startsWith('telephone-event/8000')) ?? null,
    direction: direction(media) ?? direction(session) ?? 'sendrecv',
    ptimeMs: Number(attribute(media, 'ptime') ?? DEFAULT_PTIME_MS) || DEFAULT_PTIME_MS,
  }
}

export const sends = (direction: Direction): boolean => direction === 'sendrecv' || direction === 'sendonly'
export const receives = (direction: Direction): boolean => direction === 'sendrecv' || direction === 'recvonly'

export function directionOf(flow: { readonly sends: boolean; readonly receives: boolean }): Direction {
  if (flow.sends) return flow.receives ? 'sendrecv' : 'sendonly'
  return flow.receives ? 'recvonly' : 'inactive'
}

const connection = (lines: readonly string[]): string | null =>
  /^c=IN IP[46] (\S+)/.exec(lines.find((line) => line.startsWith('c=')) ?? '')?.[1] ?? null

const attribute = (lines: readonly string[], name: string): string | undefined =>
  lines.find((line) => line.startsWith(`a=${name}:`))?.slice(name.length + 3)

const direction = (lines: readonly string[]): Direction | undefined => DIRECTIONS.find((name) => lines.some((line) => line.trim() === `a=${name}`))

const codecOf = (type: number, lines: readonly string[]): string | undefined =>
  lines
    .find((line) => line.startsWith(`a=rtpmap:${type} `))
    ?.slice(`a=rtpmap:${type} `.length)
    .toLowerCase()

/** By its static number, or by the name that an rtpmap gives a dynamic one. */
function namedLaw(type: number, lines: readonly string[]): Law | null {
  const fixed = lawOf(type)
  if (fixed !== null) return fixed
  const codec = codecOf(type, lines)
  return codec === 'pcmu/8000' ? 'pcmu' : codec === 'pcma/8000' ? 'pcma' : null
}
