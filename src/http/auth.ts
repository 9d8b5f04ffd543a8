/**
 * Who is asking (contract C2): HTTP Basic, the API key as user and the API token as password.
 *
 * Tokens are compared as hashes in constant time, and a key that does not exist costs the same comparison as one that does.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { type Principal, type Scope, SCOPES } from '../domain/account/rights.ts'
import type { AccountId, KeyId } from '../domain/ids.ts'
import { HttpError } from './http-error.ts'

/** Whose key and token these are, or null. */
export type Authenticate = (key: string, token: string) => Promise<Principal | null>

export interface ApiKey {
  readonly accountId: AccountId
  readonly key: string
  readonly token: string
  /** Default: all. */
  readonly scopes?: readonly Scope[]
  /** Default null: no limit. */
  readonly agents?: readonly string[] | null
}

const CHALLENGE = { 'www-authenticate': 'Basic realm="API key and token", charset="UTF-8"' } as const
const BASIC = /^Basic +([A-Za-z0-9+/=_-]+) *$/i

/** The keys of the configuration. Keeps hashes of the tokens, not the tokens. Keys are unique over all accounts; of two equal ones the first counts. */
export function makeKeyring(keys: readonly ApiKey[]): Authenticate {
  const known = new Map<string, { readonly who: Principal; readonly tokenHash: Buffer }>()
  for (const { key, token, accountId, scopes = SCOPES, agents = null } of keys) {
    if (!known.has(key)) known.set(key, { who: { accountId, keyId: key as KeyId, scopes, agents }, tokenHash: sha256(token) })
  }
  const nobody = sha256('')
  return async (key, token) => {
    const entry = known.get(key)
    const matches = timingSafeEqual(sha256(token), entry?.tokenHash ?? nobody)
    return entry && matches && token !== '' ? entry.who : null
  }
}

/**
 * Who the header proves to ask, when it is of the account that the path names.
 * @throws {HttpError} unauthorized, the same one for no header, an unknown key, a wrong token, and another account's or nobody's path.
 */
export async function authenticated(authenticate: Authenticate, header: string | undefined, accountSid: string): Promise<Principal> {
  const credentials = credentialsIn(header)
  const proven = credentials && (await authenticate(credentials.key, credentials.token))
  if (!proven || proven.accountId !== accountSid) throw new HttpError('unauthorized', CHALLENGE)
  return proven
}

/** RFC 7617 §2: the first colon ends the user; a token may hold further ones. */
function credentialsIn(header: string | undefined): { readonly key: string; readonly token: string } | null {
  const encoded = header === undefined ? undefined : BASIC.exec(header)?.[1]
  if (encoded === undefined) return null
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon === -1 ? null : { key: text.slice(0, colon), token: text.slice(colon + 1) }
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()
