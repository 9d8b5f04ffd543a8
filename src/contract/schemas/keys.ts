/** API keys as schemas: what their routes take, in the order in which a wrong one is named, and what they answer, in the order of `../access/keys.ts`. */
import * as z from 'zod'
import { MAX_GRACE_MS } from '../../domain/account/keys.ts'
import { SCOPES } from '../../domain/account/rights.ts'
import { byDefault, date as dateParameter, several, text, whole } from './parameter.ts'
import { accountSid, date, listOf, said } from './resources.ts'

const NAME_MAX_CHARS = 64
const MAX_AGENTS = 100
/** Words of one request: a scope may be named twice, and `all` beside it. */
const MAX_SCOPE_WORDS = 50
const NAME = /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/
const AGENT = /^[A-Za-z0-9._-]{1,64}$/
const rule = 'C2'

const name = text(NAME_MAX_CHARS, { description: 'What people call it; without control characters.', example: 'wall board', rule })
  .refine((written) => NAME.test(written))
  .meta({ pattern: NAME.source })

/** `POST …/Keys`. */
export const KEY_PARAMETERS = z.object({
  Name: byDefault(name, ''),
  Scopes: several(
    z.enum([...SCOPES, 'all']),
    { min: 1, max: MAX_SCOPE_WORDS },
    {
      description:
        'Its rights, in lower case: repeat the name, or put commas between them. `all` stands for every one. A key can give no right that it has not got itself.',
      example: ['calls.read', 'monitor.listen'],
      rule,
    },
  ),
  Agents: several(
    z.string().regex(AGENT),
    { min: 1, max: MAX_AGENTS },
    {
      description:
        'Limits the key to calls in which one of these phones of the account takes part: their names without `client:`, repeated or between commas. Without it there is no such limit; an empty list in JSON is refused.',
      example: ['priya', 'ravi'],
      rule,
    },
  ).optional(),
  ExpiresAt: dateParameter({
    description:
      'From this moment on the key counts no more, in the account’s time zone; it must be in the future. Without it, it never ends by itself.',
    example: '2030-01-01 00:00:00',
    rule,
  }).optional(),
})

/** `POST …/Keys/{KeySid}/Rotate`. */
export const KEY_ROTATION_PARAMETERS = z.object({
  GraceSeconds: byDefault(
    whole(
      { min: 0, max: MAX_GRACE_MS / 1000 },
      { description: 'For how long the token before this one still counts, in seconds; at most a week.', example: 3600, rule },
    ),
    0,
  ),
})

/** Whatever the configuration allows as a key's name. */
export const keySid = said(z.string().min(1).max(255), 'The key: the user of HTTP Basic.', 'ek_7m2q0d4k9x1v8c6n3b5h7j2p')
const scopes = z.array(z.enum(SCOPES).meta({ xml: { name: 'Scope' } })).meta({ description: 'What it may do.', xml: { wrapped: true } })
const agents = z.array(z.string().meta({ xml: { name: 'Agent' } })).nullable()

const FIELDS = {
  Sid: keySid,
  AccountSid: accountSid,
  Name: said(z.string().max(NAME_MAX_CHARS), 'What people call it; may be empty.', 'wall board'),
  Scopes: scopes,
  Agents: agents.meta({ description: 'The phones that it is limited to; null when it is not.', xml: { wrapped: true } }),
  Status: said(z.enum(['active', 'expired', 'revoked']), 'Only an active key counts; the others never come back.', 'active'),
  Source: said(z.enum(['database', 'configuration']), 'Keys of the configuration are changed there and nowhere else.', 'database'),
  CreatedBy: said(z.string().nullable(), 'The key by which it was made; null: by an operator.', 'ek_0c5n8w2t6r4z1y9g3f7s0a8d'),
  DateCreated: said(date.nullable(), 'When it was made; null for a key of the configuration.', '2026-11-26 17:30:00'),
  DateExpires: said(date.nullable(), 'From when on it counts no more; null: never.', '2030-01-01 00:00:00'),
  DateRotated: said(date.nullable(), 'When it got its present token; null while it has its first one.', null),
  DateRevoked: said(date.nullable(), 'When it was revoked; null when it was not.', null),
  DateLastUsed: said(date.nullable(), 'When it was used last, to the minute; null: never, or it is of the configuration.', '2026-11-26 17:45:00'),
  Uri: said(z.string().startsWith('/v1/Accounts/'), 'The key.', '/v1/Accounts/exotel30m/Keys/ek_7m2q0d4k9x1v8c6n3b5h7j2p'),
}

export const KEY = z.strictObject(FIELDS).meta({ description: 'An API key, without its token.', xml: { name: 'Key' } })
export const KEY_WITH_TOKEN = z
  .strictObject({
    ...FIELDS,
    Token: said(
      z.string().nullable(),
      'The password of HTTP Basic. It is told this once and kept nowhere: null when the request was repeated by its `Idempotency-Key`.',
      `et_${'x'.repeat(52)}`,
    ),
  })
  .meta({ description: 'An API key with its new token.', xml: { name: 'Key' } })

export const KEY_ANSWER = z.strictObject({ Key: KEY }).meta({ description: 'One key.' })
export const KEY_WITH_TOKEN_ANSWER = z
  .strictObject({ Key: KEY_WITH_TOKEN })
  .meta({ description: 'One key, and the only time that its token is told.' })
export const KEY_LIST_ANSWER = z
  .strictObject({
    Metadata: z.strictObject({ Total: said(z.int().min(0), 'How many keys there are; all of them are here.', 2) }),
    Keys: listOf(KEY, 'Those that are not beyond the limits of the key that asks.'),
  })
  .meta({ description: 'All keys of the account.' })
