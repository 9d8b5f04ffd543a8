/** For tests of the server: a house in which nothing was recorded and nothing happens. */
import type { Stores } from '../control/api.ts'

export const NOTHING_KEPT: Stores = {
  recordings: { find: async () => null },
  feed: { follow: () => ({ beginning: { kind: 'resumed', told: [] }, stop: () => {} }) },
}
