import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallbackPage, CallbackQuery, LoggedCallback } from '../../domain/callback-log.ts'
import { DomainError } from '../../domain/errors.ts'
import type { AccountId, CallId, LegId } from '../../domain/ids.ts'
import { callbackIdIn, callbackList, callbackQueryIn, callbackResource, receiverIn, replayResource } from './callback-log.ts'
import { type Fields, fieldsFromPairs } from '../fields.ts'
import { xmlDocument } from '../xml.ts'

const CALL = 'c'.repeat(32)
const fields = (given: Readonly<Record<string, string>>): Fields => fieldsFromPairs(Object.entries(given)) ?? new Map()
const asked = (given: Readonly<Record<string, string>>): CallbackQuery => callbackQueryIn(fields(given))
const refuses = (name: string, given: Readonly<Record<string, string>>): void =>
  assert.throws(
    () => asked(given),
    (error) => error instanceof DomainError && error.code === 'invalid-parameter' && error.detail === name,
    JSON.stringify(given),
  )

const parked: LoggedCallback = {
  id: 'a'.repeat(32),
  accountId: 'acme' as AccountId,
  callId: CALL as CallId,
  legId: 'd'.repeat(32) as LegId,
  event: 'terminal',
  url: 'https://crm.example.com/hook?x=1',
  receiver: 'https://crm.example.com',
  contentType: 'application/json',
  body: '{"a":"<1>"}',
  createdAt: Date.UTC(2026, 0, 1, 10),
  state: 'parked',
  attempts: 7,
  lastStatus: 503,
  lastError: 'HTTP 503 <busy>',
  dueAt: Date.UTC(2026, 0, 1, 18),
  settledAt: Date.UTC(2026, 0, 1, 18),
}

test('without filters all callbacks are meant, fifty to a page', () => {
  assert.deepEqual(asked({}), { state: null, receiver: null, callId: null, pageSize: 50, start: null })
})

test('every filter, in the spellings that are understood', () => {
  assert.deepEqual(asked({ State: ' Parked', Receiver: 'https://Crm.example.com:443/hook?x', CallSid: ` ${CALL}`, PageSize: '100', After: 'abc1' }), {
    state: 'parked',
    receiver: 'https://crm.example.com',
    callId: CALL,
    pageSize: 100,
    start: { side: 'after', id: 'abc1' },
  })
  assert.deepEqual(asked({ Before: 'abc1' }).start, { side: 'before', id: 'abc1' })
  for (const state of ['pending', 'delivered', 'parked'] as const) assert.equal(asked({ State: state.toUpperCase() }).state, state)
  assert.equal(asked({ Unknown: 'x', State: '' }).state, null)
})

test('what cannot be meant is refused by its name', () => {
  for (const State of ['lost', 'parked,pending', 'toString']) refuses('State', { State })
  for (const Receiver of ['crm.example.com', 'ftp://crm.example.com', 'https://', 'x\u0000']) refuses('Receiver', { Receiver })
  for (const CallSid of ['../..', 'a b', 'x'.repeat(65)]) refuses('CallSid', { CallSid })
  for (const PageSize of ['0', '101', '-1', '1e1', 'ten']) refuses('PageSize', { PageSize })
  for (const After of ['a b', "'; --", 'a'.repeat(65)]) refuses('After', { After })
  refuses('Before', { Before: 'a/b' })
  refuses('Before', { Before: 'a', After: 'b' })
})

test('a receiver of a replay is read in the same way, and the id of a callback is checked before anybody is asked', () => {
  assert.equal(receiverIn(new Map()), null)
  assert.equal(receiverIn(fields({ Receiver: 'http://h:8080/x' })), 'http://h:8080')
  assert.equal(callbackIdIn('aB9'), 'aB9')
  for (const text of ['', 'a-b', 'a b', 'a'.repeat(65)]) assert.equal(callbackIdIn(text), null)
})

const json = { format: 'json', timeZone: 'Asia/Kolkata' } as const
const inList = {
  Sid: parked.id,
  AccountSid: 'acme',
  CallSid: CALL,
  LegSid: parked.legId,
  EventType: 'terminal',
  State: 'parked',
  StatusCallback: 'https://crm.example.com/hook?x=1',
  Attempts: 7,
  LastStatus: 503,
  LastError: 'HTTP 503 <busy>',
  DateCreated: '2026-01-01 15:30:00',
  DateDue: null,
  DateSettled: '2026-01-01 23:30:00',
  Uri: `/v1/Accounts/acme/Callbacks/${parked.id}.json`,
}

test('one callback, key for key, with what was sent', () => {
  const { Callback } = callbackResource(parked, json)
  assert.deepEqual(Callback, { ...inList, ContentType: 'application/json', Body: '{"a":"<1>"}' })
  assert.deepEqual(Object.keys(Callback as object), [...Object.keys(inList), 'ContentType', 'Body'])
  const waiting = callbackResource(
    { ...parked, state: 'pending', settledAt: null, lastStatus: null, lastError: null, legId: null },
    { ...json, format: 'xml' },
  )
  const { DateDue, DateSettled, LegSid, LastStatus, Uri } = waiting.Callback as Readonly<Record<string, unknown>>
  assert.deepEqual(
    [DateDue, DateSettled, LegSid, LastStatus, Uri],
    ['2026-01-01 23:30:00', null, null, null, `/v1/Accounts/acme/Callbacks/${parked.id}`],
  )
  assert.match(xmlDocument(waiting), /<Callback>.*<LegSid\/>.*<Body>\{&quot;a&quot;:&quot;&lt;1&gt;&quot;\}<\/Body><\/Callback>/)
})

test('a user and password of the receiver are not shown', () => {
  const { Callback } = callbackResource({ ...parked, url: 'https://me:p%40ss@crm.example.com/hook?x=1' }, json)
  assert.equal((Callback as { StatusCallback: string }).StatusCallback, 'https://***:***@crm.example.com/hook?x=1')
})

const page = (change: Partial<CallbackPage> = {}): CallbackPage => ({ callbacks: [parked], total: 3, hasPrevious: false, hasNext: false, ...change })

test('a page: its callbacks without bodies, its place among the others, filters kept in their addresses', () => {
  const query = fields({ State: 'parked', Receiver: 'https://crm.example.com', PageSize: '1', After: 'x' })
  const options = { ...json, accountId: parked.accountId, query }
  const kept = '/v1/Accounts/acme/Callbacks.json?State=parked&Receiver=https%3A%2F%2Fcrm.example.com&PageSize=1'
  assert.deepEqual(callbackList(page({ hasPrevious: true, hasNext: true }), callbackQueryIn(query), options), {
    Metadata: { Total: 3, PageSize: 1, FirstPageUri: kept, PrevPageUri: `${kept}&Before=${parked.id}`, NextPageUri: `${kept}&After=${parked.id}` },
    Callbacks: [inList],
  })
})

test('an empty page leads nowhere; in XML each callback is an element', () => {
  const options = { format: 'xml', timeZone: 'UTC', accountId: parked.accountId, query: new Map() } as const
  const empty = callbackList(page({ callbacks: [], total: 0, hasPrevious: true, hasNext: true }), asked({}), options)
  assert.deepEqual(empty, {
    Metadata: { Total: 0, PageSize: 50, FirstPageUri: '/v1/Accounts/acme/Callbacks', PrevPageUri: null, NextPageUri: null },
    Callbacks: [],
  })
  assert.match(xmlDocument(callbackList(page(), asked({}), options)), /<Callbacks><Callback><Sid>a{32}<\/Sid>.*<\/Callback><\/Callbacks>/)
})

test('a replay says how many, and how many were left', () => {
  assert.deepEqual(replayResource({ replayed: 12, remaining: 3 }), { Replay: { Replayed: 12, Remaining: 3 } })
})
