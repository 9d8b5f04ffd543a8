/** What the routes about API keys say about themselves. */
import { keyList, keyResource } from '../../contract/access/keys.ts'
import { KEY_ANSWER, KEY_LIST_ANSWER, KEY_PARAMETERS, KEY_ROTATION_PARAMETERS, KEY_WITH_TOKEN_ANSWER } from '../../contract/schemas/keys.ts'
import type { Format } from '../../contract/xml.ts'
import type { Key } from '../../domain/account/keys.ts'
import type { KeyId } from '../../domain/ids.ts'
import { type Operation, resource } from './operation.ts'
import { SAMPLE_ACCOUNT, SAMPLE_KEY_SID, SAMPLE_REQUESTS, sampleOptions } from './samples.ts'

const NOON = Date.UTC(2020, 11, 22, 6, 30)
const HOUR_MS = 3_600_000
const TOKEN = 'et_0h3k8w1z6c9r4t7y2m5q0v8x3b6n1d4f7g2j5p8s0a3e6u9i1o4k'

const made: Key = {
  id: SAMPLE_KEY_SID as KeyId,
  accountId: SAMPLE_ACCOUNT,
  name: SAMPLE_REQUESTS.key.Name,
  source: 'database',
  scopes: ['calls.read', 'monitor.listen'],
  agents: ['priya', 'ravi'],
  createdBy: 'ek_0c5n8w2t6r4z1y9g3f7s0a8d' as KeyId,
  createdAt: NOON,
  expiresAt: null,
  rotatedAt: null,
  revokedAt: null,
  lastUsedAt: null,
}
const used: Key = { ...made, lastUsedAt: NOON + HOUR_MS }
const rotated: Key = { ...used, rotatedAt: NOON + 2 * HOUR_MS }
const revoked: Key = { ...rotated, revokedAt: NOON + 3 * HOUR_MS }
const options = (format: Format) => ({ ...sampleOptions(format), now: NOON + 3 * HOUR_MS })

const NOTHING_TAKEN = { query: null, body: null, headers: null, idempotent: false, callback: null } as const

export const CREATE_KEY: Operation = {
  ...NOTHING_TAKEN,
  id: 'createKey',
  tag: 'Keys',
  summary: 'Make a key',
  description: 'The token is told in this answer and nowhere else: what is kept of it cannot be turned back.',
  rules: ['C2', 'C10', 'C19'],
  body: { parameters: KEY_PARAMETERS, example: SAMPLE_REQUESTS.key },
  idempotent: true,
  answers: [resource('The key, with its token', KEY_WITH_TOKEN_ANSWER, (format) => keyResource(made, options(format), TOKEN))],
  errors: ['too-many-keys'],
}

export const LIST_KEYS: Operation = {
  ...NOTHING_TAKEN,
  id: 'listKeys',
  tag: 'Keys',
  summary: 'List keys',
  description:
    'Active, expired and revoked ones, and those of the configuration; on one page, without their tokens. Keys beyond the agents that the asking key is limited to are not there.',
  rules: ['C2'],
  answers: [resource('The keys', KEY_LIST_ANSWER, (format) => keyList([used], options(format)))],
  errors: [],
}

export const GET_KEY: Operation = {
  ...NOTHING_TAKEN,
  id: 'getKey',
  tag: 'Keys',
  summary: 'Look at a key',
  description: 'What it may do, and when it was used last. Its token is not told again.',
  rules: ['C2'],
  answers: [resource('The key', KEY_ANSWER, (format) => keyResource(used, options(format)))],
  errors: ['key-not-found'],
}

export const ROTATE_KEY: Operation = {
  ...NOTHING_TAKEN,
  id: 'rotateKey',
  tag: 'Keys',
  summary: 'Give a key a new token',
  description: 'The token before it stops counting at once, or after `GraceSeconds`, so that whoever uses it can change over.',
  rules: ['C2', 'C10'],
  body: { parameters: KEY_ROTATION_PARAMETERS, example: SAMPLE_REQUESTS.keyRotation },
  answers: [resource('The key, with its new token', KEY_WITH_TOKEN_ANSWER, (format) => keyResource(rotated, options(format), TOKEN))],
  errors: ['key-not-found', 'key-not-active', 'key-configured'],
}

export const REVOKE_KEY: Operation = {
  ...NOTHING_TAKEN,
  id: 'revokeKey',
  tag: 'Keys',
  summary: 'Revoke a key',
  description:
    'It counts no more, and never will again; streams of events that follow by it end. A key that was revoked before is answered as it is.',
  rules: ['C2', 'C10'],
  answers: [resource('The key, revoked', KEY_ANSWER, (format) => keyResource(revoked, options(format)))],
  errors: ['key-not-found', 'key-configured'],
}
