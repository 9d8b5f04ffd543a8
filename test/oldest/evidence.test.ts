/** `test/evidence.test.ts` on PostgreSQL 15. */
import { onOldest } from '../postgres.ts'

await onOldest(() => import('../evidence.test.ts'))
