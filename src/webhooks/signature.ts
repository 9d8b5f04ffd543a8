/**
 * Signatures by which a receiver knows that a callback is ours and fresh: Standard Webhooks, symmetric (contract C28).
 * What is signed is `id.timestamp.body`; the id is the same on every attempt, the timestamp is the attempt's.
 */
import { createHmac, randomBytes } from 'node:crypto'

const PREFIX = 'whsec_'
/** Standard Webhooks wants 24 to 64 bytes. */
const SECRET_BYTES = 32
const MIN_SECRET_BYTES = 24
const MAX_SECRET_BYTES = 64
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

/** @param secret As `isSecret` accepts it. */
export function signatureHeaders(secret: string, { id, body, now }: Signable): SignatureHeaders {
  const timestamp = String(Math.floor(now / 1000))
  const signature = createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }
}

/** `whsec_` and the base64 of 24 to 64 bytes. */
export function isSecret(text: string): boolean {
  if (!text.startsWith(PREFIX) || !BASE64.test(text.slice(PREFIX.length))) return false
  const { length } = keyOf(text)
  return length >= MIN_SECRET_BYTES && length <= MAX_SECRET_BYTES
}

/** A fresh secret of 32 random bytes. */
export const newSecret = (): string => PREFIX + randomBytes(SECRET_BYTES).toString('base64')

const keyOf = (secret: string): Buffer => Buffer.from(secret.slice(PREFIX.length), 'base64')
