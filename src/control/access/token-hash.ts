/**
 * Tokens as they are kept: salted scrypt, with what it cost written beside it, so that the cost may be raised later.
 *
 *   scrypt$N=16384,r=8,p=1$<salt>$<hash>      both in base64
 *
 * A hash takes 16 MiB and tens of milliseconds of a core, which is the point of it; so only a few are under way at once, few wait, and
 * who comes then is told to come back. Tokens have 268 random bits: the cost guards a stolen database, not a weak password.
 */
import assert from 'node:assert/strict'
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'
import { DomainError } from '../../domain/errors.ts'

/** RFC 7914 §2: memory is 128 × N × r bytes. */
export interface ScryptCost {
  /** A power of two. */
  readonly N: number
  readonly r: number
  readonly p: number
}

export interface TokenHasher {
  /** @throws {DomainError} busy */
  hash(token: string): Promise<string>
  /** Compares in constant time. @param written Null is nobody's, costs as much, and is never right. @throws {DomainError} busy */
  matches(token: string, written: string | null): Promise<boolean>
}

export const TOKEN_COST: ScryptCost = { N: 16_384, r: 8, p: 1 }
/** Hashes under way at once: half of the threads that Node has for such work, so that names and files have the others. */
export const HASHES_AT_ONCE = 2
/** Hashes that wait for their turn; at 40 ms each the last of them waits for little more than a second. */
export const HASHES_WAITING = 64

const SALT_BYTES = 16
const HASH_BYTES = 32
/** No written cost is obeyed beyond this. */
const MAX_MEMORY_BYTES = 256 * 1024 * 1024
const WRITTEN = /^scrypt\$N=(\d{1,8}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)$/

/** @param options Only tests have others. */
export function makeTokenHasher(options: { readonly cost?: ScryptCost; readonly atOnce?: number; readonly waiting?: number } = {}): TokenHasher {
  const { cost = TOKEN_COST, atOnce = HASHES_AT_ONCE, waiting = HASHES_WAITING } = options
  const inTurn = makeGate(atOnce, waiting)
  const nobody = writtenBy(cost, randomBytes(SALT_BYTES), randomBytes(HASH_BYTES))
  return {
    hash: (token) =>
      inTurn(async () => {
        const salt = randomBytes(SALT_BYTES)
        return writtenBy(cost, salt, await derived(token, salt, cost))
      }),
    matches: (token, written) =>
      inTurn(async () => {
        const [, N, r, p, salt, hash] = WRITTEN.exec(written ?? nobody) ?? []
        assert(salt !== undefined && hash !== undefined, 'a token hash in the database is not one')
        const found = await derived(token, Buffer.from(salt, 'base64'), { N: Number(N), r: Number(r), p: Number(p) })
        const expected = Buffer.from(hash, 'base64')
        return expected.length === found.length && timingSafeEqual(found, expected) && written !== null
      }),
  }
}

const writtenBy = ({ N, r, p }: ScryptCost, salt: Buffer, hash: Buffer): string =>
  `scrypt$N=${N},r=${r},p=${p}$${salt.toString('base64')}$${hash.toString('base64')}`

function derived(token: string, salt: Buffer, cost: ScryptCost): Promise<Buffer> {
  const options: ScryptOptions = { ...cost, maxmem: MAX_MEMORY_BYTES }
  return new Promise((resolve, reject) => scrypt(token, salt, HASH_BYTES, options, (error, key) => (error ? reject(error) : resolve(key))))
}

/** Lets so many in at once, and so many wait in the order in which they came. */
function makeGate(atOnce: number, waiting: number): <T>(work: () => Promise<T>) => Promise<T> {
  const queue: (() => void)[] = []
  let inside = 0
  return async (work) => {
    if (inside >= atOnce) {
      if (queue.length >= waiting) throw new DomainError('busy')
      // Whoever leaves hands its place on, so `inside` stays.
      await new Promise<void>((resolve) => queue.push(resolve))
    } else inside += 1
    try {
      return await work()
    } finally {
      const next = queue.shift()
      if (next) next()
      else inside -= 1
    }
  }
}
