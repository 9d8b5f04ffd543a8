/** What the route of the audit log says about itself. */
import { fieldsFromPairs } from '../../contract/fields.ts'
import { auditList, auditQueryIn } from '../../contract/lists/audit-list.ts'
import { AUDIT_ANSWER, AUDIT_PARAMETERS } from '../../contract/schemas/audit.ts'
import type { Format, WireObject } from '../../contract/xml.ts'
import type { Entry, IntervalBody, IntervalPersons } from '../../domain/evidence/entry.ts'
import type { LegId } from '../../domain/ids.ts'
import { type Operation, resource } from './operation.ts'
import { SAMPLE_ACCOUNT, SAMPLE_CALLS, SAMPLE_KEY_SID, SAMPLE_REQUESTS, sampleOptions, supervisorOf } from './samples.ts'

const { monitored: call } = SAMPLE_CALLS
const supervisor = supervisorOf(call)
const parties = call.legs.filter(({ monitoring }) => monitoring === null)
const target = supervisor.monitoring?.targetLegId ?? ('' as LegId)
const FROM = supervisor.updatedAt
const TO = FROM + 26_000
const iso = (epochMs: number): string => new Date(epochMs).toISOString()

/** From her pick-up until she barges in. */
const body: IntervalBody = {
  call: call.id,
  leg: supervisor.id,
  target,
  mode: 'whisper',
  by: SAMPLE_KEY_SID,
  reason: 'QA-7',
  from: iso(FROM),
  to: iso(TO),
  end: 'mode-changed',
  heardBy: [target],
  hears: parties.map(({ id }) => id),
  notice: { to: 'agent', atEntry: true, everySeconds: 15, modes: ['listen', 'whisper', 'barge'] },
  tones: [iso(FROM), iso(FROM + 15_000)],
  tonesFailed: [],
}
const persons: IntervalPersons = { supervisor: supervisor.address, parties: parties.map(({ id, address }) => ({ leg: id, address })) }

const entry: Entry = {
  accountId: SAMPLE_ACCOUNT,
  sequence: 1842,
  id: 'e7',
  kind: 'interval',
  recordedAt: TO,
  body: JSON.stringify(body),
  personal: JSON.stringify(persons),
  salt: 'salt',
  commitment: '0'.repeat(64),
  previous: 'b7d1f0935c2e48a6917d3e0fa4c85b62d09e17f3a6b8c24d5e70912f8ac3d64b',
  hash: '9f2c7b1e0d4a86533cde91f7a2b64408e1d5c3f97b60a8d24e7f1935ac08bd62',
  foundBy: { call: null, mode: null, supervisor: null },
}

export const LIST_AUDIT: Operation = {
  id: 'listAudit',
  tag: 'Audit',
  summary: 'Read the audit log',
  description:
    'Each interval in which a supervisor was on a call in one mode, what was done with keys, and what was purged, a page at a time. All filters that are given must hold. Entries that are added while you walk shift nothing. For keys that are not limited to agents: the log is of all of them.',
  rules: ['C15', 'C20', 'C23', 'C24'],
  query: { parameters: AUDIT_PARAMETERS, example: SAMPLE_REQUESTS.audit },
  body: null,
  headers: null,
  idempotent: false,
  answers: [resource('A page of entries', AUDIT_ANSWER, pageOfEntries)],
  errors: [],
  callback: null,
}

function pageOfEntries(format: Format): WireObject {
  const query = fieldsFromPairs(Object.entries(SAMPLE_REQUESTS.audit)) ?? new Map()
  const options = { ...sampleOptions(format), accountId: SAMPLE_ACCOUNT, query }
  return auditList({ entries: [entry], hasPrevious: false, hasNext: true }, auditQueryIn(query, options), options)
}
