/**
 * Signatures by which a receiver knows that a callback is ours and fresh: Standard Webhooks, symmetric (contract C28).
 * What is signed is `id.timestamp.body`; the id is the same on every attempt, the timestamp is the attempt's.
 */
import { createHash, createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'

const PREFIX = 'whsec_'
/** Standard Webhooks wants 24 to 64 bytes. */
const SECRET_BYTES = 32
const MIN_SECRET_BYTES = 24
const MAX_SECRET_BYTES = 64
const FINGERPRINT_DIGITS = 12
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/

export interface SignatureHeaders {
  readonly 'webhook-id': string
  readonly 'webhook-timestamp': string
  readonly 'webhook-signature': string
}

export interface Signable {
  readonly id: string
  readonly body: string
  /** When the attempt is made, epoch ms. */
  readonly now: number
}

/**
 * @param secrets As `isSecret` accepts them, the newest first. Each gives a signature of its own, so that a receiver verifies with whichever
 * it has: two of them while a secret is being changed.
 */
export function signatureHeaders(secrets: readonly string[], { id, body, now }: Signable): SignatureHeaders {
  const timestamp = String(Math.floor(now / 1000))
  const signed = `${id}.${timestamp}.${body}`
  const signatures = secrets.map((secret) => `v1,${createHmac('sha256', preparedKey(secret)).update(signed).digest('base64')}`)
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') }
}

/** `whsec_` and the base64 of 24 to 64 bytes. */
export function isSecret(text: string): boolean {
  if (!text.startsWith(PREFIX) || !BASE64.test(text.slice(PREFIX.length))) return false
  const { length } = keyOf(text)
  return length >= MIN_SECRET_BYTES && length <= MAX_SECRET_BYTES
}

/** A fresh secret of 32 random bytes. */
export const newSecret = (): string => PREFIX + randomBytes(SECRET_BYTES).toString('base64')

/** By what people tell secrets apart without seeing them: the first digits of `printf %s "$SECRET" | sha256sum`. */
export const fingerprintOf = (secret: string): string => createHash('sha256').update(secret).digest('hex').slice(0, FINGERPRINT_DIGITS)

/** A key that is made anew for each signature costs five times as much as the signature: kept for so many secrets. */
const MAX_PREPARED = 1_000
const prepared = new Map<string, KeyObject>()

function preparedKey(secret: string): KeyObject {
  const known = prepared.get(secret)
  if (known) return known
  if (prepared.size >= MAX_PREPARED) prepared.clear()
  const key = createSecretKey(keyOf(secret))
  prepared.set(secret, key)
  return key
}

const keyOf = (secret: string): Buffer => Buffer.from(secret.slice(PREFIX.length), 'base64')
