/** `src/commands/ledger/ledger.test.ts` on PostgreSQL 15. */
import { onOldest } from '../postgres.ts'

await onOldest(() => import('../../src/commands/ledger/ledger.test.ts'))
