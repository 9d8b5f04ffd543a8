import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccountId } from '../domain/ids.ts'
import { authenticated, makeKeyring } from './auth.ts'
import { HttpError } from './http-error.ts'

const acme = 'acme' as AccountId
const zenith = 'zenith' as AccountId
const keyring = makeKeyring([
  { accountId: acme, key: 'key', token: 'token' },
  { accountId: acme, key: 'second', token: 'a:b:c' },
  { accountId: zenith, key: 'zkey', token: 'ztoken' },
  { accountId: zenith, key: 'key', token: 'late' },
  { accountId: zenith, key: 'open', token: '' },
])
const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`

const proven = async (header: string, account: string): Promise<string> => (await authenticated(keyring, header, account)).accountId

test('[C2] a key and its token prove their account', async () => {
  assert.equal(await proven(basic('key:token'), 'acme'), 'acme')
  assert.equal(await proven(basic('zkey:ztoken'), 'zenith'), 'zenith')
  assert.equal(await proven(basic('second:a:b:c'), 'acme'), 'acme', 'a token may hold colons')
  assert.equal(await proven(basic('key:token').replace('Basic', 'bAsIc'), 'acme'), 'acme', 'the scheme has no case')
})

test('[C2] everything else is the same refusal, with a challenge', async () => {
  const refused: readonly (readonly [string | undefined, string])[] = [
    [undefined, 'acme'],
    ['', 'acme'],
    ['Basic', 'acme'],
    ['Basic ', 'acme'],
    ['Basic !!!', 'acme'],
    ['Bearer abc', 'acme'],
    ['Basic a b', 'acme'],
    [basic('key'), 'acme'],
    [basic('key:'), 'acme'],
    [basic(':token'), 'acme'],
    [basic(':'), 'acme'],
    [basic('key:Token'), 'acme'],
    [basic('KEY:token'), 'acme'],
    [basic('key:token '), 'acme'],
    [basic('nobody:token'), 'acme'],
    [basic('key:ztoken'), 'acme'],
    [basic('key:late'), 'zenith'],
    [basic('open:'), 'zenith'],
    [basic('key:token'), 'zenith'],
    [basic('key:token'), 'ACME'],
    [basic('key:token'), ''],
    [basic('key:token'), 'nobody'],
    [basic('__proto__:token'), 'acme'],
  ]
  for (const [header, account] of refused) {
    await assert.rejects(
      authenticated(keyring, header, account),
      (error) =>
        error instanceof HttpError && error.code === 'unauthorized' && error.headers['www-authenticate']?.startsWith('Basic realm=') === true,
      `${header} ${account}`,
    )
  }
})
