import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { type Principal, SCOPES } from '../../domain/account/rights.ts'
import { DomainError } from '../../domain/errors.ts'
import type { AccountId, KeyId } from '../../domain/ids.ts'
import { HttpError } from '../http-error.ts'
import { type Admission, limitHeaders, makeAdmission } from './admission.ts'

const ACME = 'acme' as AccountId
const principal = (keyId: string): Principal => ({ accountId: ACME, keyId: keyId as KeyId, scopes: SCOPES, agents: null })
const OWN = `ek_${'0'.repeat(24)}`

let now: number
let asked: string[]
let lines: Readonly<Record<string, unknown>>[]
let fault: Error | null
let remembered: string | null
let admission: Admission

beforeEach(() => {
  now = 0
  asked = []
  lines = []
  fault = null
  remembered = null
  admission = makeAdmission({
    authenticate: async (key, token) => {
      asked.push(`${key}:${token}`)
      if (fault) throw fault
      return token === 'right' ? principal(key) : null
    },
    remembered: (key, token) => (remembered === `${key}:${token}` ? principal(key) : null),
    limits: { failuresPerMinute: 3 },
    now: () => now,
    log: { info: (fields) => void lines.push(fields) },
  })
})

const who = (credentials: string, address = '192.0.2.1'): Promise<string> =>
  admission.whoAsks({ address, authorization: `Basic ${Buffer.from(credentials).toString('base64')}`, accountSid: 'acme' }).then(
    ({ keyId }) => keyId,
    (error: unknown) => (error instanceof HttpError || error instanceof DomainError ? error.code : assert.fail(String(error))),
  )

test('[C10] a house that is busy, or whose database is away, has found out nothing: such tries are no failures', async () => {
  for (fault of [new DomainError('busy'), new HttpError('internal')])
    for (let n = 0; n < 20; n += 1) assert.notEqual(await who(`k:${n}`), 'too-many-requests')
  fault = null
  assert.equal(await who('k:right'), 'k')
})

test('[C10] the same wrong pair many times at once is looked at once, and is one failure', async () => {
  assert.deepEqual(new Set(await Promise.all(Array.from({ length: 50 }, () => who('k:wrong')))), new Set(['unauthorized']))
  assert.equal(asked.length, 1)
  assert.equal(await who('k:other'), 'unauthorized')
  assert.equal(await who('k:third'), 'unauthorized')
  assert.equal(await who('k:fourth'), 'too-many-requests')
})

test('[C10] many addresses with the same pair are each counted for themselves', async () => {
  const all = await Promise.all(Array.from({ length: 9 }, (_, n) => who('k:wrong', `192.0.2.${n}`)))
  assert.deepEqual(new Set(all), new Set(['unauthorized']))
  assert.equal(asked.length, 9)
})

test('[C10] whoever is refused for failing is not looked up, and whoever is remembered is let in all the same', async () => {
  for (let n = 0; n < 3; n += 1) await who(`k${n}:wrong`)
  const before = asked.length
  assert.equal(await who('k:right'), 'too-many-requests')
  remembered = 'k:right'
  assert.equal(await who('k:right'), 'k')
  assert.equal(asked.length, before)
})

test('[C2] a right token for a path of another account is refused, and is no failure', async () => {
  for (let n = 0; n < 20; n += 1) {
    const foreign = admission.whoAsks({
      address: '192.0.2.1',
      authorization: `Basic ${Buffer.from('k:right').toString('base64')}`,
      accountSid: 'zenith',
    })
    await assert.rejects(foreign, (error) => error instanceof HttpError && error.code === 'unauthorized')
  }
  assert.equal(await who('k:right'), 'k')
})

test('the log names a key that is surely one, and nothing else that was written in its place', async () => {
  for (const key of ['+919876543210', OWN]) {
    for (let n = 0; n < 3; n += 1) await who(`${key}:wrong ${n}`, `2001:db8::${key.length}`)
    now += 3_600_000
  }
  assert.deepEqual(lines, [{ source: '2001:db8::/64' }, { source: '2001:db8::/64', key: OWN }])
})

test('[C10] what an answer says of its limit: how many, how many more, and the second since 1970 at which it begins anew', () => {
  assert.deepEqual(limitHeaders({ allowed: true, limit: 200, remaining: 7, resetS: 13 }, 1_700_000_000_900), {
    'x-ratelimit-limit': '200',
    'x-ratelimit-remaining': '7',
    'x-ratelimit-reset': '1700000013',
  })
})
