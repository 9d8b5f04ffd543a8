/**
 * Amounts of money: exact decimals, never a binary fraction.
 *
 * Outside of a sum an amount is a text with three to six decimals (`1.500`, `-0.000001`), the same in JSON, SQL and on the wire;
 * sums are made of whole millionths. Nothing is ever rounded here: a price has at most six decimals, and is only multiplied by
 * a whole number of pulses.
 */
export type Money = string & { readonly brand: 'Money' }

/** Whole millionths of a unit of the currency. */
export type Micros = bigint

const DECIMALS = 6
/** Decimals that are always written, as the vendor does. */
const SHOWN_DECIMALS = 3
const UNIT = 1_000_000n
const DECIMAL = /^(-?)(\d{1,15})(?:\.(\d{1,6}))?$/
const IDLE_ZEROS = new RegExp(`^(\\d{${SHOWN_DECIMALS}}\\d*?)0*$`)

export const NO_MONEY = '0.000' as Money

/** @returns Null for what is no decimal with at most 15 digits before and 6 after the point. */
export function moneyIn(text: string): Money | null {
  return DECIMAL.test(text) ? money(micros(text as Money)) : null
}

/** Prices are few and are read again and again: so many are remembered. */
const MAX_REMEMBERED = 1_000
const remembered = new Map<Money, Micros>()

/** @param amount Any decimal that `moneyIn` takes; others are a mistake of ours. */
export function micros(amount: Money): Micros {
  const known = remembered.get(amount)
  if (known !== undefined) return known
  if (remembered.size >= MAX_REMEMBERED) remembered.clear()
  const read = microsIn(amount)
  remembered.set(amount, read)
  return read
}

function microsIn(amount: Money): Micros {
  const [, sign, whole = '0', decimals = ''] = DECIMAL.exec(amount) ?? []
  if (sign === undefined) throw new Error('this is no amount of money')
  const size = BigInt(whole) * UNIT + BigInt(decimals.padEnd(DECIMALS, '0'))
  return sign === '-' ? -size : size
}

/** The canonical text: no sign at zero, three decimals at least and no more than are needed. */
export function money(amount: Micros): Money {
  const size = amount < 0n ? -amount : amount
  const decimals = String(size % UNIT).padStart(DECIMALS, '0')
  const shown = decimals.replace(IDLE_ZEROS, '$1')
  return `${amount < 0n ? '-' : ''}${size / UNIT}.${shown}` as Money
}

export const sum = (amounts: readonly Money[]): Money => money(amounts.reduce((total, amount) => total + micros(amount), 0n))
