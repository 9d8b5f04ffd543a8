/**
 * Callbacks: whether one is Earshot's, unchanged and fresh, and what it says. Signatures are Standard Webhooks, symmetric; what is
 * signed is `id.timestamp.body`, so give the body as it came, before anything parsed it.
 *
 * A callback may come twice: its id stays the same, and remembering ids is up to you.
 */
import type { CallCallback, LegCallback } from './resources.ts'

/** Why not. Answer all but `unreadable-body` with 401; that one is a mistake of ours or a secret that leaked. */
export type CallbackRefusal =
  /** `webhook-id`, `webhook-timestamp` or `webhook-signature` is missing or no such thing. */
  | 'unsigned'
  /** Signed longer ago than `toleranceS`: perhaps a recording of it. */
  | 'too-old'
  /** Signed further ahead than `toleranceS`: one of the two clocks is wrong. */
  | 'too-new'
  /** No signature was made with any of the secrets over this body. */
  | 'wrong-signature'
  /** Signed well, but neither a leg's callback nor a call's. */
  | 'unreadable-body'

export interface CallbackFacts {
  /** The same on every attempt of one callback. */
  readonly id: string
  /** When this attempt was signed. */
  readonly signedAt: Date
}

export type CallbackVerdict =
  | (CallbackFacts & { readonly verified: true; readonly about: 'leg'; readonly callback: LegCallback })
  | (CallbackFacts & { readonly verified: true; readonly about: 'call'; readonly callback: CallCallback })
  | { readonly verified: false; readonly reason: CallbackRefusal }

export interface IncomingCallback {
  /** As it came: the bytes, or their text in UTF-8. */
  readonly body: string | Uint8Array
  /** A `Headers`, or an object as Node has it; names in any case. */
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>
  /** `whsec_…` as the operator gave it; several while one replaces another. */
  readonly secret: string | readonly string[]
  /** How old, or how far ahead of your clock, it may be: seconds, default 300. */
  readonly toleranceS?: number | undefined
  /** Your clock, epoch ms; default `Date.now()`. */
  readonly now?: number | undefined
}

const TOLERANCE_S = 300
const MAX_SECRETS = 16
/** Signatures looked at in one header; the sender has one for each of its secrets. */
const MAX_SIGNATURES = 16
const MAX_ID_CHARS = 256
const SECRET = /^whsec_([A-Za-z0-9+/]+)={0,2}$/
const SIGNATURE = /^v1,([A-Za-z0-9+/]{43}=)$/
const TIMESTAMP = /^\d{1,12}$/
/** `Legs[0][Status]` */
const PARTY_FIELD = /^Legs\[(\d)\]\[(\w+)\]$/

/**
 * Verifies and reads one callback. Compares in constant time, and says the same for every wrong signature.
 * @throws {TypeError} when a secret is none, since then nothing can ever be verified.
 */
export async function verifyCallback({
  body,
  headers,
  secret,
  toleranceS = TOLERANCE_S,
  now = Date.now(),
}: IncomingCallback): Promise<CallbackVerdict> {
  const secrets = (typeof secret === 'string' ? [secret] : secret).map(secretBytes)
  if (secrets.length === 0 || secrets.length > MAX_SECRETS) throw new TypeError(`between 1 and ${MAX_SECRETS} secrets are needed`)
  const [id, timestamp, signed] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => header(headers, name) ?? '')
  const signatures = (signed ?? '').split(' ', MAX_SIGNATURES).flatMap((each) => SIGNATURE.exec(each)?.[1] ?? [])
  if (!id || id.length > MAX_ID_CHARS || !timestamp || !TIMESTAMP.test(timestamp) || signatures.length === 0) return refused('unsigned')
  const ageS = Math.floor(now / 1000) - Number(timestamp)
  if (ageS > toleranceS) return refused('too-old')
  if (-ageS > toleranceS) return refused('too-new')
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
  if (!(await isSigned(joined(`${id}.${timestamp}.`, bytes), signatures, secrets))) return refused('wrong-signature')
  const facts = { id, signedAt: new Date(Number(timestamp) * 1000) }
  return readCallback(await fieldsOf(bytes, header(headers, 'content-type') ?? ''), facts)
}

const refused = (reason: CallbackRefusal): CallbackVerdict => ({ verified: false, reason })

/** Every secret against every signature, without stopping at the first that fits: the time taken says nothing. WebCrypto compares. */
async function isSigned(content: Bytes, signatures: readonly string[], secrets: readonly Bytes[]): Promise<boolean> {
  let found = false
  for (const secret of secrets) {
    const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
    for (const signature of signatures) if (await crypto.subtle.verify('HMAC', key, fromBase64(signature), content)) found = true
  }
  return found
}

function header(headers: IncomingCallback['headers'], name: string): string | null {
  if (headers instanceof Headers) return headers.get(name)
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1]
  return typeof found === 'string' ? found : (found?.[0] ?? null)
}

type Bytes = Uint8Array<ArrayBuffer>

function secretBytes(secret: string): Bytes {
  const encoded = SECRET.exec(secret)?.[1]
  // Four letters are three bytes; one left over is none.
  if (encoded === undefined || encoded.length % 4 === 1) throw new TypeError('a secret is whsec_ and base64')
  return fromBase64(encoded)
}

const fromBase64 = (text: string): Bytes => Uint8Array.from(atob(text), (character) => character.charCodeAt(0))

function joined(prefix: string, bytes: Uint8Array): Bytes {
  const head = new TextEncoder().encode(prefix)
  const whole = new Uint8Array(head.length + bytes.length)
  whole.set(head)
  whole.set(bytes, head.length)
  return whole
}

type Fields = Readonly<Record<string, unknown>>

/** The body as it would be in JSON; empty when it is in neither encoding. */
async function fieldsOf(bytes: Uint8Array, contentType: string): Promise<Fields> {
  try {
    if (/^application\/json\b/i.test(contentType)) return objectIn(JSON.parse(new TextDecoder().decode(bytes)))
    const form = await new Response(joined('', bytes), { headers: { 'content-type': contentType } }).formData()
    return nested([...form].flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as const] : [])))
  } catch {
    return {} // Whatever it is, it is no callback: the verdict says so.
  }
}

const objectIn = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})

/** A form has neither numbers nor lists: both come back. */
function nested(pairs: readonly (readonly [string, string])[]): Fields {
  const fields = new Map<string, unknown>()
  const parties: Map<string, unknown>[] = []
  for (const [name, value] of pairs) {
    const [, index, key = ''] = PARTY_FIELD.exec(name) ?? []
    if (index === undefined) fields.set(name, name === 'ConversationDuration' ? Number(value) : value)
    else (parties[Number(index)] ??= new Map()).set(key, key === 'OnCallDuration' ? Number(value) : value)
  }
  if (parties.length > 0)
    fields.set(
      'Legs',
      Array.from(parties, (party) => Object.fromEntries(party ?? [])),
    )
  return Object.fromEntries(fields)
}

const LEG_TEXTS = [
  'LegSid',
  'CallSid',
  'AccountSid',
  'DateCreated',
  'DateUpdated',
  'StartTime',
  'EndTime',
  'PhoneNumber',
  'Status',
  'OnCallDuration',
  'Origin',
  'LastAction',
  'CustomField',
  'EventType',
] as const satisfies readonly (keyof LegCallback)[]
const CALL_TEXTS = [
  'CallSid',
  'EventType',
  'DateCreated',
  'DateUpdated',
  'Status',
  'To',
  'From',
  'PhoneNumberSid',
  'StartTime',
  'EndTime',
  'Direction',
  'RecordingUrl',
  'CustomField',
] as const satisfies readonly (keyof CallCallback)[]

/** What is signed is the server's word, so it is checked for its shape, not for its every value. */
function readCallback(fields: Fields, facts: CallbackFacts): CallbackVerdict {
  const hasTexts = (names: readonly string[], within: Fields): boolean => names.every((name) => typeof within[name] === 'string')
  if (hasTexts(LEG_TEXTS, fields)) return { verified: true, ...facts, about: 'leg', callback: fields as unknown as LegCallback }
  const isCall = hasTexts(CALL_TEXTS, fields) && Number.isFinite(fields.ConversationDuration) && Array.isArray(fields.Legs)
  const parties: readonly unknown[] = isCall ? (fields.Legs as readonly unknown[]) : []
  const hasParties = parties.map(objectIn).every((party) => Number.isFinite(party.OnCallDuration) && hasTexts(['Status', 'AnsweredBy'], party))
  return isCall && hasParties ? { verified: true, ...facts, about: 'call', callback: fields as unknown as CallCallback } : refused('unreadable-body')
}
