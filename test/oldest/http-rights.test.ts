/** `src/http/rights.test.ts` on PostgreSQL 15. */
import { onOldest } from '../postgres.ts'

await onOldest(() => import('../../src/http/rights.test.ts'))
