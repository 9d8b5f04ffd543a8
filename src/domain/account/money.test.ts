import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { amount, signed } from '../../../test/sample-money.ts'
import { type Money, micros, money, moneyIn, NO_MONEY, sum } from './money.ts'

test('an amount is written with three decimals at least and no more than it needs', () => {
  const TABLE: readonly (readonly [string, string])[] = [
    ['0', '0.000'],
    ['-0', '0.000'],
    ['0.5', '0.500'],
    ['1.500000', '1.500'],
    ['0.000001', '0.000001'],
    ['-0.1', '-0.100'],
    ['007.25', '7.250'],
    ['12.3456', '12.3456'],
    ['999999999999999.999999', '999999999999999.999999'],
  ]
  for (const [given, written] of TABLE) assert.equal(moneyIn(given), written, given)
})

test('what is no decimal, or finer than a millionth, is no amount', () => {
  for (const text of ['', '-', '.5', '1.', '1,5', '1e3', '0.0000001', '+1', ' 1', '1 ', '0x1', 'NaN', 'Infinity', '1.2.3', '1'.repeat(16)])
    assert.equal(moneyIn(text), null, text)
})

test('a thousand times a tenth is a hundred, exactly, and a third decimal is never lost', () => {
  assert.equal(sum(Array(1000).fill('0.100' as Money)), '100.000')
  assert.equal(sum(['0.1', '0.2', '-0.3'].map((text) => moneyIn(text) ?? NO_MONEY)), '0.000')
  assert.equal(sum([]), NO_MONEY)
})

test('text and millionths are the same amount, both ways', () => {
  fc.assert(fc.property(signed, (text) => money(micros(text)) === text && moneyIn(text) === text))
})

test('the sum of amounts is the amount of the sum, in any order', () => {
  fc.assert(
    fc.property(fc.array(amount, { maxLength: 50 }), (amounts) => {
      const total = amounts.reduce((all, each) => all + micros(each), 0n)
      return sum(amounts) === money(total) && sum(amounts.toReversed()) === money(total)
    }),
  )
})

test('what is no amount is a mistake of ours', () => assert.throws(() => micros('ten' as Money), /no amount/))

test('more prices than are remembered are all read right', () => {
  for (let n = 0; n < 2_500; n += 1) assert.equal(micros(`${n}.5` as Money), BigInt(n) * 1_000_000n + 500_000n)
})
