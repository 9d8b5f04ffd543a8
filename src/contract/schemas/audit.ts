/** The audit log as schemas: what its list takes, in the order in which a wrong one is named, and what it answers, in the order of `../lists/audit-list.ts`. */
import * as z from 'zod'
import { INTERVAL_ENDS } from '../../domain/evidence/interval.ts'
import { MODES } from '../../domain/leg.ts'
import { address, byDefault, date as dateParameter, lastOf, metaOf, readBy, trimmedSid, whole, word } from './parameter.ts'
import { callSid, date, legSid, listOf, pageUri, phoneNumber, said, uri } from './resources.ts'

const DEFAULT_PAGE_SIZE = 50
const MAX_PAGE_SIZE = 100
const SEQUENCE = /^[1-9]\d{0,14}$/
/** An extension of the contract's, about who monitors whom (C15). */
const rule = 'C15'

const place = (description: string) =>
  z
    .preprocess(lastOf, z.string().transform(readBy((text) => (SEQUENCE.test(text.trim()) ? Number(text) : null))))
    .meta({ ...metaOf({ description, example: '1842', rule }), pattern: SEQUENCE.source })
    .optional()

/** `GET …/Audit`, in the query string. */
export const AUDIT_PARAMETERS = z.object({
  CallSid: trimmedSid({ description: 'Entries about this call alone.', example: 'c5797dcbaaeed7678c4062a4a3ed2f8a', rule }).optional(),
  Supervisor: address({ description: 'Entries about this supervisor alone, in any spelling of a number.', example: '09876500001', rule }).optional(),
  Mode: word(MODES, { description: 'Entries about this mode alone.', example: 'whisper', rule }).optional(),
  StartDate: dateParameter({
    description: 'Not what was recorded before, in the account’s time zone. An interval is recorded when it ends.',
    example: '2020-12-01 00:00:00',
    rule,
  }).optional(),
  EndDate: dateParameter({ description: 'Not what was recorded after; the whole second counts.', example: '2020-12-22 23:59:59', rule }).optional(),
  PageSize: byDefault(whole({ min: 1, max: MAX_PAGE_SIZE }, { description: 'Entries on a page.', example: 20, rule }), DEFAULT_PAGE_SIZE),
  SortBy: byDefault(
    word(['DateCreated:desc', 'DateCreated:asc'], { description: 'Newest first, or oldest first.', example: 'DateCreated:desc', rule }),
    'DateCreated:desc',
  ),
  Before: place('The page that ends before this entry; as it comes in `PrevPageUri`. Not together with `After`.'),
  After: place('The page that begins after this entry; as it comes in `NextPageUri`.'),
})

const hash = z.string().regex(/^[0-9a-f]{64}$/)
const HASH = '9f2c7b1e0d4a86533cde91f7a2b64408e1d5c3f97b60a8d24e7f1935ac08bd62'
const EAR = z
  .strictObject({
    LegSid: legSid,
    PhoneNumber: said(phoneNumber.nullable(), 'Whose leg it is; null when the personal data are purged.', '09876538847'),
  })
  .meta({ xml: { name: 'Leg' } })
const TONE = z
  .strictObject({
    Time: said(date, 'When it sounded, or should have.'),
    Played: said(z.enum(['true', 'false']), '`false`: it could not be played.', 'true'),
  })
  .meta({ xml: { name: 'Tone' } })

export const AUDIT_ENTRY = z
  .strictObject({
    Sequence: said(z.int().min(1), 'Its place in the account’s chain: from 1, without gaps.', 1842),
    Kind: said(z.string().min(1), '`interval`: somebody monitored. `key`: an API key was made, rotated or revoked. `purge`: personal data were deleted. There may be more kinds.', 'interval'),
    DateCreated: said(date, 'When it was recorded.'),
    Key: said(z.string().nullable(), 'By which API key; null when the house decided, as when a target leaves.', 'ek_7m2q0d4k9x1v8c6n3b5h7j2p'),
    CallSid: said(callSid.nullable(), 'The call.'),
    LegSid: said(legSid.nullable(), 'The supervisor’s leg.'),
    Supervisor: said(phoneNumber.nullable(), 'Who monitored; null when the personal data are purged.', '09876500001'),
    TargetLegSid: said(legSid.nullable(), 'The leg that was coached.', '11111111111111111111111111111aaa'),
    Mode: said(z.enum(MODES).nullable(), 'In which mode.', 'whisper'),
    ReasonCode: said(z.string().nullable(), 'Why, as the request said; null when it did not.', 'QA-7'),
    StartTime: said(date.nullable(), 'From when on.', '2020-12-22 17:32:10'),
    EndTime: said(date.nullable(), 'Until when.', '2020-12-22 17:32:36'),
    EndReason: said(z.enum(INTERVAL_ENDS).nullable(), 'What has changed: another interval may begin at the same moment.', 'mode-changed'),
    HeardBy: listOf(EAR, 'Who could hear the supervisor.'),
    Hears: listOf(EAR, 'Whom the supervisor could hear.'),
    Notice: said(
      z.string().nullable(),
      'The policy of notice tones that held, in words. `none`: there was none. `nobody (explicit)`: somebody decided for silence.',
      'agent: at entry, every 15 s, listen whisper barge',
    ),
    Tones: listOf(TONE, 'The tones that sounded, and those that could not.'),
    PersonalData: said(z.enum(['kept', 'purged', 'none']), '`purged`: the numbers were deleted by policy, and the chain still holds.', 'kept'),
    Details: said(z.string().nullable(), 'Of another kind than `interval` what it says, as JSON; else null.', null),
    PreviousHash: said(hash, 'The hash of the entry before it.', HASH),
    Hash: said(hash, 'Of this entry and the one before it: what is altered shows.', HASH),
  })
  .meta({
    description:
      'An entry of the audit log: one supervisor, one mode, one table of hearing. What belongs to an interval is null or empty for any other kind.',
    xml: { name: 'Entry' },
  })

export const AUDIT_ANSWER = z
  .strictObject({
    Metadata: z.strictObject({
      PageSize: said(z.int().min(1).max(MAX_PAGE_SIZE), 'As it was asked for.', 50),
      FirstPageUri: said(uri, 'The first page, with the same filters, size, order and format.'),
      PrevPageUri: pageUri('The page before this one'),
      NextPageUri: pageUri('The page after this one'),
    }),
    Audit: listOf(AUDIT_ENTRY, 'A page of entries.'),
  })
  .meta({ description: 'A page of the audit log.' })
