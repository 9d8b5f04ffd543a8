/** For tests of the server: a house in which nothing was recorded, nobody has a key, and nothing happens. */
import type { Desks } from '../control/api.ts'
import { NO_KEYS } from './fake-control.ts'

export const NOTHING_KEPT: Desks = {
  keys: NO_KEYS,
  recordings: { find: async () => null },
  feed: { follow: () => ({ beginning: { kind: 'resumed', told: [] }, stop: () => {} }) },
}
