/** For tests of the server: a house in which nothing was recorded. */
import type { Stores } from '../control/api.ts'

export const NOTHING_KEPT: Stores = { recordings: { find: async () => null } }
