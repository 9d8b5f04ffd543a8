/** Where the house draws chance. Pure rooms receive it as an argument. */
import { createHash, randomBytes } from 'node:crypto'

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz'
/** Bytes from here on would favour the first letters: 252 is the largest multiple of 36 in a byte. */
const FAIR_BELOW = 252

/** Fair characters of `[0-9a-z]`, about 5.2 bits each. */
export function randomText(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length)) if (byte < FAIR_BELOW && text.length < length) text += ALPHABET[byte % ALPHABET.length]
  }
  return text
}

/** A sid as the contract wants it: 32 characters, opaque, unguessable (C6). */
export const newId = (): string => randomText(32)

/** A SIP tag, branch or nonce part: 20 characters, 103 bits. */
export const newToken = (): string => randomText(20)

/** An API key: 24 random characters, 124 bits, behind a word by which people and secret scanners know it. */
export const newKeyId = (): string => `ek_${randomText(24)}`

/** An API token: 52 random characters, 268 bits. */
export const newApiToken = (): string => `et_${randomText(52)}`

/** Hex digest for SIP's digest authentication. */
export const hexDigest = (algorithm: 'md5' | 'sha256', text: string): string => createHash(algorithm).update(text).digest('hex')

/** Fair, from 0 to 1 (1 excluded), for what needs no secrecy. */
export const share = (): number => Math.random()
