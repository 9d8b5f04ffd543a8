import assert from 'node:assert/strict'
import { test } from 'node:test'
import type {} from '../domain/commands.ts'
import type { CallSound } from '../domain/sound.ts'
import { DomainError } from '../domain/errors.ts'
import { type Fields, fieldsFromJson } from './fields.ts'
import { callIdIn, connectCommand, idempotencyKeyIn, legAction, legIdIn, monitorCommand } from './requests.ts'

const fields = (value: Readonly<Record<string, unknown>>): Fields => fieldsFromJson(value) ?? assert.fail('no fields')
const MONITOR = { Action: 'barge', PhoneNumber: '09876500001' }
const CONNECT = { From: '09876530240', To: '09876538847', CallerId: '08040404890' }
const CALLBACK = 'https://crm.example.com/earshot?secret=1'

const refuses = (act: () => unknown, parameter: string): void =>
  assert.throws(act, (error) => error instanceof DomainError && error.code === 'invalid-parameter' && error.detail === parameter, parameter)

test('[C15] only Action and PhoneNumber are mandatory; everything else has its default', () => {
  assert.deepEqual(monitorCommand(fields(MONITOR)), {
    mode: 'barge',
    phone: '+919876500001',
    targetLegId: null,
    callerId: null,
    ringMs: 30_000,
    limitMs: 14_400_000,
    subscription: null,
    customField: null,
  })
})

test('[C15] the vendor’s own sample request is understood', () => {
  const sample = {
    Action: 'barge',
    TargetLegSid: '',
    PhoneNumber: '09876500001',
    StatusCallback: '',
    CustomField: 'LegsCustom',
    StatusCallbackContentType: 'application/json',
    'StatusCallbackEvents[0]': 'terminal',
  }
  assert.deepEqual(monitorCommand(fields(sample)), { ...monitorCommand(fields(MONITOR)), customField: 'LegsCustom' })
})

test('[C15] every parameter is taken', () => {
  const all = {
    ...MONITOR,
    TargetLegSid: '1'.repeat(32),
    StatusCallback: CALLBACK,
    StatusCallbackEvents: ['answered', 'terminal'],
    StatusCallbackContentType: 'application/json',
    CustomField: 'x',
    CallerId: '08040404890',
    TimeOut: '45',
    TimeLimit: 600,
  }
  assert.deepEqual(monitorCommand(fields(all)), {
    mode: 'barge',
    phone: '+919876500001',
    targetLegId: '1'.repeat(32),
    callerId: '+918040404890',
    ringMs: 45_000,
    limitMs: 600_000,
    subscription: { url: CALLBACK, events: ['answered', 'terminal'], contentType: 'application/json' },
    customField: 'x',
  })
})

test('[C15] an action may be written in any case and is lower case from there on', () => {
  for (const mode of ['listen', 'whisper', 'barge']) {
    for (const written of [mode, mode.toUpperCase(), `${mode[0]?.toUpperCase()}${mode.slice(1)}`])
      assert.equal(monitorCommand(fields({ ...MONITOR, Action: written })).mode, mode)
  }
})

test('[C15] parameters that are wrong are named in the vendor’s spelling', () => {
  const wrong: readonly (readonly [Readonly<Record<string, unknown>>, string])[] = [
    [{ PhoneNumber: MONITOR.PhoneNumber }, 'Action'],
    [{ ...MONITOR, Action: 'spy' }, 'Action'],
    [{ ...MONITOR, Action: 'hangup' }, 'Action'],
    [{ ...MONITOR, Action: { mode: 'listen' } }, 'Action'],
    [{ Action: 'barge' }, 'PhoneNumber'],
    [{ ...MONITOR, PhoneNumber: '' }, 'PhoneNumber'],
    [{ ...MONITOR, PhoneNumber: 'xxxx' }, 'PhoneNumber'],
    [{ ...MONITOR, PhoneNumber: 123 }, 'PhoneNumber'],
    [{ ...MONITOR, PhoneNumber: { number: '09876500001' } }, 'PhoneNumber'],
    [{ ...MONITOR, TargetLegSid: 'no such; leg' }, 'TargetLegSid'],
    [{ ...MONITOR, TargetLegSid: '1'.repeat(65) }, 'TargetLegSid'],
    [{ ...MONITOR, CallerId: 'me' }, 'CallerId'],
    [{ ...MONITOR, StatusCallbackContentType: 'text/xml' }, 'StatusCallbackContentType'],
    [{ ...MONITOR, CustomField: 'a\u0000b' }, 'CustomField'],
    [{ ...MONITOR, CustomField: { a: 1 } }, 'CustomField'],
    [{ ...MONITOR, CustomField: 'a\ud800' }, 'CustomField'],
  ]
  for (const [given, parameter] of wrong) refuses(() => monitorCommand(fields(given)), parameter)
})

test('[C15] a CustomField has at most 128 characters, counted as people count them', () => {
  const longest = '😀'.repeat(128)
  assert.equal(monitorCommand(fields({ ...MONITOR, CustomField: longest })).customField, longest)
  refuses(() => monitorCommand(fields({ ...MONITOR, CustomField: `${longest}x` })), 'CustomField')
})

test('[C15] ring and talk limits are whole seconds within their bounds', () => {
  const ring = (TimeOut: unknown): number => monitorCommand(fields({ ...MONITOR, TimeOut })).ringMs
  const talk = (TimeLimit: unknown): number => monitorCommand(fields({ ...MONITOR, TimeLimit })).limitMs
  assert.deepEqual([ring('1'), ring(60), talk('1'), talk(14_400)], [1000, 60_000, 1000, 14_400_000])
  for (const value of ['0', '61', '-1', '1.5', '1e1', 'ten', ' 5', '9999999999']) refuses(() => ring(value), 'TimeOut')
  for (const value of ['0', '14401', '-1', '0.5', 'x']) refuses(() => talk(value), 'TimeLimit')
})

test('[C15] events that are not known are ignored, and without a known one it is terminal', () => {
  const events = (StatusCallbackEvents: unknown): unknown =>
    monitorCommand(fields({ ...MONITOR, StatusCallback: CALLBACK, StatusCallbackEvents })).subscription?.events
  assert.deepEqual(events(undefined), ['terminal'])
  assert.deepEqual(events('terminal'), ['terminal'])
  assert.deepEqual(events('Answered'), ['answered'])
  assert.deepEqual(events(['terminal', 'ringing', 'answered', 'terminal']), ['answered', 'terminal'])
  assert.deepEqual(events(['ringing', 'completed']), ['terminal'])
})

test('[C15] callbacks are multipart unless JSON is asked for', () => {
  const contentType = (StatusCallbackContentType: string): unknown =>
    monitorCommand(fields({ ...MONITOR, StatusCallback: CALLBACK, StatusCallbackContentType })).subscription?.contentType
  assert.equal(contentType(''), 'multipart/form-data')
  assert.equal(contentType('multipart/form-data'), 'multipart/form-data')
  assert.equal(contentType('Application/JSON'), 'application/json')
})

test('[C15] a StatusCallback is an absolute http or https URL of at most 2048 characters, perhaps with a user and password', () => {
  const urlOf = (StatusCallback: string): string | undefined => monitorCommand(fields({ ...MONITOR, StatusCallback })).subscription?.url
  assert.equal(urlOf('HTTP://CRM.example.com:8080/a'), 'http://crm.example.com:8080/a')
  assert.equal(urlOf('https://example.com'), 'https://example.com/')
  assert.equal(urlOf('https://user:secret@crm.example.com/'), 'https://user:secret@crm.example.com/')
  assert.equal(urlOf('https://crm.example.com/?q=ए'), 'https://crm.example.com/?q=%E0%A4%8F')
  assert.equal(urlOf(`https://e.in/${'a'.repeat(2035)}`)?.length, 2048)
  const wrong = [
    'crm.example.com',
    '/callback',
    '//crm.example.com',
    'http:crm.example.com',
    'ftp://crm.example.com',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'http://',
    'https://crm.example.com/a b',
    ' https://crm.example.com',
    'https://crm.example.com/\r\nX: y',
    'http://[::1',
    'http://a:99999/',
    `https://e.in/${'a'.repeat(2036)}`,
    `https://e.in/${'ए'.repeat(1000)}`,
  ]
  for (const url of wrong) refuses(() => urlOf(url), 'StatusCallback')
})

test('[C30] From and To are mandatory, the rest has its default; the vendor’s own samples leave CallerId out', () => {
  assert.deepEqual(connectCommand(fields(CONNECT)), {
    from: '+919876530240',
    to: '+919876538847',
    callerId: '+918040404890',
    ringMs: 30_000,
    limitMs: 14_400_000,
    subscription: null,
    customField: null,
    sound: { waitUrl: null, opening: null, recording: null },
    maxRetries: 0,
  })
  for (const name of ['From', 'To', 'CallerId'] as const) refuses(() => connectCommand(fields({ ...CONNECT, [name]: '12' })), name)
  for (const name of ['From', 'To'] as const) refuses(() => connectCommand(fields({ ...CONNECT, [name]: '' })), name)
  assert.equal(connectCommand(fields({ ...CONNECT, CallerId: '' })).callerId, null)
})

const WAV = 'https://example.com/a.wav'
const OTHER_WAV = 'https://example.com/b.wav'

test('[C30] the vendor’s other parameters are accepted', () => {
  const others = {
    CallType: 'trans',
    Record: 'true',
    RecordingChannels: 'dual',
    WaitUrl: WAV,
    StartPlaybackToNew: 'Both',
    StartPlaybackValue: OTHER_WAV,
    MaxRetries: 3,
    StreamUrl: 'wss://example.com',
    RecordingFormat: 'mp3',
  }
  assert.deepEqual(connectCommand(fields({ ...CONNECT, ...others })), {
    ...connectCommand(fields(CONNECT)),
    sound: { waitUrl: WAV, opening: { url: OTHER_WAV, to: 'both' }, recording: 'dual' },
    maxRetries: 3,
  })
  assert.deepEqual(
    connectCommand(
      fields({ ...CONNECT, TimeLimit: '60', TimeOut: '20', CustomField: 'x', StatusCallback: CALLBACK, 'StatusCallbackEvents[0]': 'answered' }),
    ),
    {
      ...connectCommand(fields(CONNECT)),
      limitMs: 60_000,
      ringMs: 20_000,
      customField: 'x',
      subscription: { url: CALLBACK, events: ['answered'], contentType: 'multipart/form-data' },
    },
  )
})

const soundOf = (given: Readonly<Record<string, unknown>>): CallSound => connectCommand(fields({ ...CONNECT, ...given })).sound

test('[C30] a call is recorded only when it is asked for, on one channel unless two are', () => {
  for (const Record of ['true', 'True', 'TRUE', true, 1, '1']) assert.equal(soundOf({ Record }).recording, 'single', String(Record))
  for (const Record of ['false', 'False', false, 0, '0', '']) assert.equal(soundOf({ Record }).recording, null, String(Record))
  assert.equal(soundOf({ Record: true, RecordingChannels: 'Dual' }).recording, 'dual')
  assert.equal(soundOf({ Record: true, RecordingChannels: 'single' }).recording, 'single')
  assert.equal(soundOf({ RecordingChannels: 'dual' }).recording, null, 'channels alone record nothing')
  for (const RecordingFormat of ['mp3', 'mp3-hq', 'wav', 'MP3']) assert.equal(soundOf({ Record: true, RecordingFormat }).recording, 'single')
})

test('[C30] what is played before the two talk is heard by the callee, or by both; the vendor’s newer names count', () => {
  assert.deepEqual(soundOf({ StartPlaybackValueNew: WAV }).opening, { url: WAV, to: 'callee' })
  assert.deepEqual(soundOf({ StartPlaybackValue: WAV, StartPlaybackTo: 'both' }).opening, { url: WAV, to: 'both' })
  assert.deepEqual(soundOf({ StartPlaybackValue: OTHER_WAV, StartPlaybackValueNew: WAV }).opening, { url: WAV, to: 'callee' })
  assert.deepEqual(soundOf({ StartPlaybackValueNew: WAV, StartPlaybackTo: 'Both', StartPlaybackToNew: 'Callee' }).opening, { url: WAV, to: 'callee' })
  assert.equal(soundOf({ StartPlaybackToNew: 'Both' }).opening, null)
})

test('[C30] the first party is rung again 0 to 3 times, and not unless it is asked for', () => {
  const retries = (MaxRetries: unknown): number => connectCommand(fields({ ...CONNECT, MaxRetries })).maxRetries
  assert.deepEqual(['', '0', 0, '1', 2, '3'].map(retries), [0, 0, 0, 1, 2, 3])
  for (const value of ['4', '-1', '1.5', 'many']) refuses(() => retries(value), 'MaxRetries')
})

test('[C30] parameters of sound that are wrong are named', () => {
  const wrong: readonly (readonly [string, unknown])[] = [
    ['WaitUrl', 'hold.wav'],
    ['WaitUrl', 'file:///etc/passwd'],
    ['StartPlaybackValueNew', 'javascript:alert(1)'],
    ['StartPlaybackValue', `https://e.in/${'a'.repeat(2036)}`],
    ['StartPlaybackToNew', 'Caller'],
    ['StartPlaybackTo', 'x'],
    ['Record', 'yes, please'],
    ['Record', { on: true }],
    ['RecordingChannels', 'stereo'],
    ['RecordingFormat', 'ogg'],
    ['CallType', 'x'.repeat(129)],
  ]
  for (const [name, value] of wrong) refuses(() => soundOf({ [name]: value }), name)
  refuses(() => soundOf({ MaxRetries: 9, WaitUrl: 'x', CustomField: 'x'.repeat(129) }), 'CustomField')
})

test('[C30] what kind of call it is means nothing here, whatever it is called', () => {
  for (const CallType of ['trans', 'promo', 'Transactional'])
    assert.deepEqual(connectCommand(fields({ ...CONNECT, CallType })), connectCommand(fields(CONNECT)))
})

test('[C32] a call with a StatusCallback and no events is called back at its end', () => {
  assert.deepEqual(connectCommand(fields({ ...CONNECT, StatusCallback: CALLBACK })).subscription?.events, ['terminal'])
})

test('[C20] [C21] an action on a leg is a mode or hangup, in any case', () => {
  for (const action of ['listen', 'whisper', 'barge', 'hangup']) {
    assert.equal(legAction(fields({ Action: action })), action)
    assert.equal(legAction(fields({ action: action.toUpperCase() })), action)
  }
})

test('[C22] any other or missing action is refused', () => {
  for (const given of [{}, { Action: '' }, { Action: 'mute' }, { Action: 'hang up' }, { Action: true }, { Action: [[]] }, { ACTION: 'barge' }])
    refuses(() => legAction(fields(given)), 'Action')
})

test('[C6] an id is taken as it is, and what cannot be one is null', () => {
  for (const id of ['c5797dcbaaeed7678c4062a4a3ed2f8a', '23c162077629863c1a2d7f29263a162m']) {
    assert.equal(callIdIn(id), id)
    assert.equal(legIdIn(id), id)
  }
  for (const id of ['', 'a b', 'a/b', 'a\u0000', 'ए', 'a.json', "'", 'x'.repeat(65)]) {
    assert.equal(callIdIn(id), null)
    assert.equal(legIdIn(id), null)
  }
})

test('[C19] an idempotency key is 1 to 255 visible characters', () => {
  assert.equal(idempotencyKeyIn(undefined), null)
  assert.equal(idempotencyKeyIn(''), null)
  assert.equal(idempotencyKeyIn('k-1'), 'k-1')
  assert.equal(idempotencyKeyIn('k'.repeat(255))?.length, 255)
  for (const key of ['k'.repeat(256), 'a b', 'a\u0000', 'é']) refuses(() => idempotencyKeyIn(key), 'Idempotency-Key')
})
