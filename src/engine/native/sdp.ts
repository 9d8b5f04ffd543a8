/**
 * Offer and answer for one G.711 audio stream (RFC 3264, RFC 8866, RFC 4733), as pure functions.
 *
 * `sdp-transform` reads the text and is lenient; what stands here is strict. One rule: nothing passes that the media plane
 * could not carry. Addresses are literals (a name would have to be looked up on a peer's word), RTP/AVP only, PCMU as
 * payload type 0 and PCMA as 8; further streams are answered with port 0.
 */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import sdp from 'sdp-transform'
import type { Law, MediaTerms } from './media-plane.ts'

/** Longest body that is read. */
export const MAX_SDP_BYTES = 16_384
/** m-lines of one description. */
export const MAX_STREAMS = 16
/** Payload types of one m-line. */
export const MAX_FORMATS = 64
export const MIN_PTIME_MS = 10
export const MAX_PTIME_MS = 60
export const DEFAULT_PTIME_MS = 20
/**
 * Payload type that we offer for RFC 4733 events. A phone that answers with another number is sent that one (RFC 3264 §5.1)
 * and ought to send ours; since many send their own, both are understood.
 */
export const DIGITS_PAYLOAD_TYPE = 101

/** As the describing side sees it: `sendonly` is a phone that put us on hold. */
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive'

/** One m-line as it came, for the answer. */
export interface Stream {
  readonly type: string
  /** 0 to 65535; 0 is a stream that is not wanted, or layered over several ports. */
  readonly port: number
  readonly protocol: string
  readonly formats: readonly string[]
}

/** What a phone says about its audio. */
export interface AudioDescription {
  /** IP literal; `0.0.0.0` or `::` is a hold in the manner of RFC 2543. */
  readonly host: string
  /** 1 to 65535. */
  readonly port: number
  /** In the phone's order of preference; at least one. */
  readonly laws: readonly Law[]
  readonly digitsPayloadType: number | null
  /** 10 to 60. */
  readonly ptimeMs: number
  readonly direction: Direction
  readonly streams: readonly Stream[]
  /** Which of `streams` is ours. */
  readonly audioAt: number
}

export type SdpReading =
  | { readonly kind: 'audio'; readonly audio: AudioDescription }
  /** `status` answers an INVITE: 400 malformed, 413 too large, 488 nothing that we can carry. `reason` holds nothing that the peer wrote. */
  | { readonly kind: 'refused'; readonly status: 400 | 413 | 488; readonly reason: string }

/** Our end of a session, as o= and c= tell it. */
export interface OurEnd {
  /** Digits, the same for the whole session. */
  readonly sessionId: string
  /** Rises by one with every description that differs from the last (RFC 3264 §8). */
  readonly version: number
  /** IP literal. */
  readonly host: string
  readonly port: number
}

/** Reads an offer. */
export function readOffer(body: Uint8Array): SdpReading {
  if (body.length > MAX_SDP_BYTES) return refuse(413, 'description too large')
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1')
  const lines = text.split(/\r\n|\n|\r/).filter((line) => line !== '')
  const fault = faultOf(lines)
  if (fault !== null) return refuse(400, fault)
  const streams = lines.filter((line) => line.startsWith('m=')).map(readStream)
  if (streams.length > MAX_STREAMS) return refuse(400, 'too many streams')
  const parsed = sdp.parse(text)
  let reason = 'no audio stream'
  for (const [at, stream] of streams.entries()) {
    const media = parsed.media[at]
    if (stream === null || media === undefined) return refuse(400, 'malformed stream')
    if (stream.type !== 'audio' || stream.port === 0) continue
    const audio = readAudio(stream, media, parsed)
    if (typeof audio !== 'string') return { kind: 'audio', audio: { ...audio, streams: streams.filter((each) => each !== null), audioAt: at } }
    reason = audio
  }
  return refuse(488, reason)
}

/** Reads the answer to our offer of one stream; laws that were not offered do not count (RFC 3264 §6.1). */
export function readAnswer(body: Uint8Array, offered: readonly Law[]): SdpReading {
  const reading = readOffer(body)
  if (reading.kind === 'refused') return reading
  const laws = reading.audio.laws.filter((law) => offered.includes(law))
  if (reading.audio.audioAt !== 0 || laws.length === 0) return refuse(488, 'answer does not fit the offer')
  return { kind: 'audio', audio: { ...reading.audio, laws } }
}

/** The reading, refused when its address is of another family than ours: no packet could get there. A hold has no address and passes. */
export function inFamilyOf(ours: string, reading: SdpReading): SdpReading {
  if (reading.kind === 'refused' || isIPv6(reading.audio.host) === isIPv6(ours) || isNoAddress(reading.audio.host)) return reading
  return refuse(488, 'address of another IP version')
}

/** `preferred` where the phone speaks it, else the phone's own first choice. */
export function chooseLaw(audio: AudioDescription, preferred: Law | null): Law {
  return preferred !== null && audio.laws.includes(preferred) ? preferred : (audio.laws[0] ?? 'pcmu')
}

/** What the media plane is told about the phone. */
export function termsOf(audio: AudioDescription, law: Law, signallingHost: string | null): MediaTerms {
  return {
    remote: { host: audio.host, port: audio.port },
    signallingHost,
    law,
    digitsPayloadType: audio.digitsPayloadType,
    digitsFromPhone: [...new Set([DIGITS_PAYLOAD_TYPE, audio.digitsPayloadType ?? DIGITS_PAYLOAD_TYPE])],
    ptimeMs: audio.ptimeMs,
    phoneReceives: !isNoAddress(audio.host) && (audio.direction === 'sendrecv' || audio.direction === 'recvonly'),
    phoneSends: audio.direction === 'sendrecv' || audio.direction === 'sendonly',
  }
}

/** An offer of one stream: these laws in this order, and events. */
export function writeOffer(ours: OurEnd, laws: readonly Law[]): string {
  const stream = audioLines({ port: ours.port, laws, digitsPayloadType: DIGITS_PAYLOAD_TYPE, ptimeMs: DEFAULT_PTIME_MS, direction: 'sendrecv' })
  return lines([...sessionLines(ours), ...stream])
}

/** The answer to `offer` with one law: as many m-lines as were offered, ours alone with a port (RFC 3264 §6). */
export function writeAnswer(ours: OurEnd, offer: AudioDescription, law: Law): string {
  const { digitsPayloadType, ptimeMs } = offer
  const accepted = audioLines({ port: ours.port, laws: [law], digitsPayloadType, ptimeMs, direction: mirrored(offer.direction) })
  const streams = offer.streams.flatMap((stream, at) =>
    at === offer.audioAt ? accepted : [`m=${stream.type} 0 ${stream.protocol} ${stream.formats.join(' ')}`],
  )
  return lines([...sessionLines(ours), ...streams])
}

/** `preferred` first. */
export const bothLaws = (preferred: Law): readonly Law[] => (preferred === 'pcmu' ? ['pcmu', 'pcma'] : ['pcma', 'pcmu'])

/** The direction that answers an offered one. */
export function mirrored(direction: Direction): Direction {
  switch (direction) {
    case 'sendrecv':
    case 'inactive':
      return direction
    case 'sendonly':
      return 'recvonly'
    case 'recvonly':
      return 'sendonly'
  }
}

type ParsedSdp = ReturnType<typeof sdp.parse>
type ParsedMedia = Pick<ParsedSdp['media'][number], 'rtp' | 'connection' | 'direction' | 'ptime' | 'maxptime'>

const LINE = /^[a-z]=[^\0]*$/
const CONNECTION = /^c=IN IP[46] [0-9A-Za-z.:-]+$/
const STREAM = /^m=([A-Za-z0-9.-]{1,32}) (\d{1,5})(\/\d{1,5})? ([A-Za-z0-9/.-]{1,32})((?: [\x21-\x7e]{1,64})+) *$/
const STATIC_TYPE: Readonly<Record<Law, number>> = { pcmu: 0, pcma: 8 }
const RTPMAP: Readonly<Record<Law, string>> = { pcmu: 'PCMU/8000', pcma: 'PCMA/8000' }
const SAMPLE_RATE_HZ = 8000

const refuse = (status: 400 | 413 | 488, reason: string): SdpReading => ({ kind: 'refused', status, reason })
const lines = (all: readonly string[]): string => `${all.join('\r\n')}\r\n`

/** What the library would pass over in silence and we must not. */
function faultOf(all: readonly string[]): string | null {
  if (all[0]?.trim() !== 'v=0') return 'not a session description'
  if (!all.every((line) => LINE.test(line))) return 'malformed line'
  if (!all.some((line) => line.startsWith('o='))) return 'no origin'
  if (!all.filter((line) => line.startsWith('c=')).every((line) => CONNECTION.test(line.trimEnd()))) return 'unusable connection address'
  return null
}

function readStream(line: string): Stream | null {
  const found = STREAM.exec(line)
  const port = Number(found?.[2])
  const formats = found?.[5]?.trim().split(' ') ?? []
  if (found === null || port > 65535 || formats.length > MAX_FORMATS) return null
  // Several ports for one stream (RFC 8866 §5.14) are for layered codings, which we have no use for: as good as not offered.
  const isLayered = found[3] !== undefined && found[3] !== '/1'
  return { type: found[1] ?? '', port: isLayered ? 0 : port, protocol: found[4] ?? '', formats }
}

/** A text says why the stream cannot be carried. */
function readAudio(stream: Stream, media: ParsedMedia, session: ParsedSdp): Omit<AudioDescription, 'streams' | 'audioAt'> | string {
  if (stream.protocol.toUpperCase() !== 'RTP/AVP') return 'only RTP/AVP is spoken'
  const connection = media.connection ?? session.connection
  if (connection === undefined) return 'no connection address'
  const host = String(connection.ip)
  if (!isUsableAddress(host, String(connection.version))) return 'connection address is no unicast IP literal'
  const laws = stream.formats.map((format) => lawOf(format, media)).filter((law) => law !== null)
  if (laws.length === 0) return 'neither PCMU nor PCMA'
  return {
    host,
    port: stream.port,
    laws: [...new Set(laws)],
    digitsPayloadType: digitsOf(stream, media),
    ptimeMs: ptimeOf(media),
    direction: directionOf(media.direction ?? session.direction),
  }
}

const isNoAddress = (host: string): boolean => host === '0.0.0.0' || host === '::'

function isUsableAddress(host: string, version: string): boolean {
  if (isIP(host) === 0 || (version === '4' ? !isIPv4(host) : !isIPv6(host))) return false
  if (isIPv6(host)) return !/^ff/i.test(host)
  const first = Number(host.split('.')[0])
  return first < 224
}

/** An rtpmap may repeat what a static payload type means, in any case and with `/1`, but not give it another meaning. */
function lawOf(format: string, media: ParsedMedia): Law | null {
  const law = format === '0' ? 'pcmu' : format === '8' ? 'pcma' : null
  const map = media.rtp?.find((entry) => String(entry.payload) === format)
  if (law === null || map === undefined) return law
  const isSame = String(map.codec).toLowerCase() === law && Number(map.rate) === SAMPLE_RATE_HZ && Number(map.encoding ?? 1) === 1
  return isSame ? law : null
}

function digitsOf(stream: Stream, media: ParsedMedia): number | null {
  const map = media.rtp?.find(
    (entry) =>
      stream.formats.includes(String(entry.payload)) &&
      String(entry.codec).toLowerCase() === 'telephone-event' &&
      Number(entry.rate) === SAMPLE_RATE_HZ,
  )
  const payloadType = Number(map?.payload)
  return payloadType >= 96 && payloadType <= 127 ? payloadType : null
}

/** Whole tens of ms within our limits: a wish beyond them is met as nearly as we can. */
function ptimeOf(media: ParsedMedia): number {
  const wished = Number(media.ptime ?? DEFAULT_PTIME_MS)
  const most = Number(media.maxptime ?? MAX_PTIME_MS)
  const ptimeMs = Math.min(wished > 0 ? wished : DEFAULT_PTIME_MS, most > 0 ? most : MAX_PTIME_MS, MAX_PTIME_MS)
  return Math.max(MIN_PTIME_MS, Math.floor(ptimeMs / 10) * 10)
}

function directionOf(text: string | undefined): Direction {
  return text === 'sendonly' || text === 'recvonly' || text === 'inactive' ? text : 'sendrecv'
}

function sessionLines(ours: OurEnd): readonly string[] {
  const address = `IN IP${isIPv6(ours.host) ? 6 : 4} ${ours.host}`
  return ['v=0', `o=- ${ours.sessionId} ${ours.version} ${address}`, 's=-', `c=${address}`, 't=0 0']
}

interface AudioLines {
  readonly port: number
  readonly laws: readonly Law[]
  readonly digitsPayloadType: number | null
  readonly ptimeMs: number
  readonly direction: Direction
}

function audioLines({ port, laws, digitsPayloadType, ptimeMs, direction }: AudioLines): readonly string[] {
  const digits = digitsPayloadType === null ? [] : [digitsPayloadType]
  return [
    `m=audio ${port} RTP/AVP ${[...laws.map((law) => STATIC_TYPE[law]), ...digits].join(' ')}`,
    ...laws.map((law) => `a=rtpmap:${STATIC_TYPE[law]} ${RTPMAP[law]}`),
    ...digits.flatMap((type) => [`a=rtpmap:${type} telephone-event/8000`, `a=fmtp:${type} 0-16`]),
    `a=ptime:${ptimeMs}`,
    `a=${direction}`,
  ]
}
