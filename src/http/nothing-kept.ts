/** For tests of the server: a house in which nothing was recorded, nobody has a key or was ever called back, and nothing happens. */
import type { Desks } from '../control/api.ts'
import { makeFakeLedger } from './fake-ledger.ts'
import { NO_KEYS, noCallbacks } from './fake-control.ts'

export const NOTHING_KEPT: Desks = {
  keys: NO_KEYS,
  callbacks: noCallbacks([]),
  ledger: makeFakeLedger(() => 0),
  recordings: { find: async () => null },
  feed: { follow: () => ({ beginning: { kind: 'resumed', told: [] }, stop: () => {} }) },
}
