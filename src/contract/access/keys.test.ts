import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XMLParser } from 'fast-xml-parser'
import fc from 'fast-check'
import type { Key } from '../../domain/account/keys.ts'
import { SCOPES } from '../../domain/account/rights.ts'
import { DomainError } from '../../domain/errors.ts'
import type { AccountId, KeyId } from '../../domain/ids.ts'
import { fieldsFromJson, fieldsFromPairs } from '../fields.ts'
import { rendered } from '../xml.ts'
import { graceIn, keyCommand, keyIdIn, keyList, keyResource } from './keys.ts'

const fields = (text: string) => fieldsFromPairs(new URLSearchParams(text)) ?? assert.fail('too many')
const command = (text: string) => keyCommand(fields(text), 'Asia/Kolkata')
const refuses = (name: string, work: () => unknown): void =>
  assert.throws(work, (error) => error instanceof DomainError && error.code === 'invalid-parameter' && error.detail === name, name)

test('[C3] a key is asked for by its scopes, in any spelling of a list; all is all of them', () => {
  for (const text of [
    'Scopes=monitor.listen&Scopes=calls.read',
    'Scopes[]=monitor.listen&Scopes[]=calls.read',
    'Scopes[0]=monitor.listen&Scopes[1]=calls.read',
    'Scopes=monitor.listen,calls.read',
    'Scopes= calls.read , monitor.listen&Scopes=calls.read',
  ])
    assert.deepEqual(command(text), { name: '', scopes: ['calls.read', 'monitor.listen'], agents: null, expiresAt: null }, text)
  assert.deepEqual(command('Scopes=all').scopes, SCOPES)
  assert.deepEqual(command('Scopes=all,calls.read').scopes, SCOPES)
})

test('[C10] deny by default: without a scope, or with one that nobody knows, there is no key', () => {
  for (const text of ['', 'Scopes=', 'Name=x', 'Scopes=calls', 'Scopes=ALL', 'Scopes=calls.read,', 'Scopes=calls.read&Scopes=x', 'Scopes=__proto__'])
    refuses('Scopes', () => command(text))
})

test('a name, agents and an end may be given; the end is a date in the account’s zone', () => {
  assert.deepEqual(command('Scopes=usage.read&Name=Büro+2&Agents=priya&Agents=ravi,priya&ExpiresAt=2026-12-01 00:00:00'), {
    name: 'Büro 2',
    scopes: ['usage.read'],
    agents: ['priya', 'ravi'],
    expiresAt: Date.parse('2026-12-01T00:00:00+05:30'),
  })
  assert.equal(command(`Scopes=all&Name=${'ü'.repeat(64)}`).name.length, 64)
})

test('[C10] a limit to nobody is refused, and is not taken for no limit', () => {
  const nobody = fieldsFromJson({ Scopes: ['calls.read'], Agents: [] }) ?? assert.fail('too many')
  refuses('Agents', () => keyCommand(nobody, 'UTC'))
})

test('what is wrong is told by its name, the first one of Name, Scopes, Agents, ExpiresAt', () => {
  for (const [name, text] of [
    ['Name', `Name=${'x'.repeat(65)}`],
    ['Name', 'Name=a%0Ab&Agents=!'],
    ['Name', 'Name=%00&Scopes=all'],
    ['Agents', 'Scopes=all&Agents=client:priya'],
    ['Agents', 'Scopes=all&Agents=priya,'],
    ['Agents', 'Scopes=all&Agents=*&ExpiresAt=x'],
    ['Agents', `Scopes=all&Agents=${Array.from({ length: 101 }, (_, n) => `a${n}`).join(',')}`],
    ['ExpiresAt', 'Scopes=all&ExpiresAt=tomorrow'],
    ['ExpiresAt', 'Scopes=all&ExpiresAt=2026-12-01'],
    ['ExpiresAt', 'Scopes=all&ExpiresAt=2026-13-01 00:00:00'],
  ] as const)
    refuses(name, () => command(text))
})

test('a former token counts for 0 to 604800 seconds, by default for none', () => {
  for (const [text, ms] of [
    ['', 0],
    ['GraceSeconds=', 0],
    ['GraceSeconds=0', 0],
    ['GraceSeconds=60', 60_000],
    ['GraceSeconds=604800', 604_800_000],
  ] as const)
    assert.equal(graceIn(fields(text)), ms)
  for (const text of ['-1', '604801', '1.5', '1e3', 'x', '99999999999', '%20']) refuses('GraceSeconds', () => graceIn(fields(`GraceSeconds=${text}`)))
})

test('whatever the configuration may call a key is one in a path, and nothing else is', () => {
  for (const text of ['ek_0123456789abcdefghijklmn', 'acme-key', 'ü/ü', 'x'.repeat(255)]) assert.equal(keyIdIn(text), text)
  for (const text of ['', 'a b', 'a:b', 'a\0', 'x'.repeat(256), '\n']) assert.equal(keyIdIn(text), null)
})

const key: Key = {
  id: 'ek_1' as KeyId,
  accountId: 'acme' as AccountId,
  name: 'desk <1>',
  source: 'database',
  scopes: ['calls.read', 'monitor.listen'],
  agents: ['priya'],
  createdBy: 'admin' as KeyId,
  createdAt: Date.UTC(2026, 10, 26, 12),
  expiresAt: Date.UTC(2026, 10, 27),
  rotatedAt: null,
  revokedAt: null,
  lastUsedAt: null,
}
const json = { format: 'json', timeZone: 'UTC', now: Date.UTC(2026, 10, 26, 13) } as const
const shown = {
  Sid: 'ek_1',
  AccountSid: 'acme',
  Name: 'desk <1>',
  Scopes: ['calls.read', 'monitor.listen'],
  Agents: ['priya'],
  Status: 'active',
  Source: 'database',
  CreatedBy: 'admin',
  DateCreated: '2026-11-26 12:00:00',
  DateExpires: '2026-11-27 00:00:00',
  DateRotated: null,
  DateRevoked: null,
  DateLastUsed: null,
  Uri: '/v1/Accounts/acme/Keys/ek_1',
}

test('[C4] a key in JSON: its rights are lists, its token is there when it is told and null when it was told before', () => {
  assert.deepEqual(keyResource(key, json), { Key: shown })
  assert.deepEqual(keyResource(key, json, 'et_x'), { Key: { ...shown, Token: 'et_x' } })
  assert.deepEqual(keyResource(key, json, null), { Key: { ...shown, Token: null } })
  assert.deepEqual(keyResource({ ...key, agents: null }, json), { Key: { ...shown, Agents: null } })
  assert.deepEqual(keyList([key, key], json), { Metadata: { Total: 2 }, Keys: [shown, shown] })
})

test('[C4] a key in XML has the same names, with an element for each right', () => {
  const xml = rendered('xml', keyResource(key, { ...json, format: 'xml' }, 'et_x'))
  const { Key } = new XMLParser({ parseTagValue: false }).parse(xml).TwilioResponse
  assert.deepEqual(Object.keys(Key), [...Object.keys(shown), 'Token'])
  assert.deepEqual([Key.Name, Key.Scopes.Scope, Key.Agents.Agent, Key.DateRevoked], ['desk <1>', ['calls.read', 'monitor.listen'], 'priya', ''])
  assert.match(rendered('xml', keyList([key], { ...json, format: 'xml' })), /<Metadata><Total>1<\/Total><\/Metadata><Keys><Key><Sid>ek_1<\/Sid>/)
})

test('a key of the configuration, expired and revoked ones, show as what they are; any name makes a path', () => {
  const statusOf = (change: Partial<Key>): unknown => (keyResource({ ...key, ...change }, json).Key as Record<string, unknown>).Status
  assert.deepEqual([statusOf({}), statusOf({ expiresAt: json.now }), statusOf({ revokedAt: 1 })], ['active', 'expired', 'revoked'])
  const Key = keyResource({ ...key, id: 'a/ü?' as KeyId, source: 'configuration', createdAt: null }, json).Key as Record<string, unknown>
  assert.deepEqual([Key.Source, Key.DateCreated, Key.Uri], ['configuration', null, '/v1/Accounts/acme/Keys/a%2F%C3%BC%3F'])
})

test('whatever is sent, the answer is a command that makes sense or the name of a parameter', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('Name', 'Scopes', 'Agents', 'ExpiresAt', 'Scopes[]'), fc.string()), { maxLength: 6 }), (pairs) => {
      try {
        const { scopes } = keyCommand(fieldsFromPairs(pairs) ?? new Map(), 'UTC')
        assert(scopes.length > 0)
      } catch (error) {
        assert(error instanceof DomainError && ['Name', 'Scopes', 'Agents', 'ExpiresAt'].includes(error.detail))
      }
    }),
  )
})
