/** `src/commands/evidence/evidence.test.ts` on PostgreSQL 15. */
import { onOldest } from '../postgres.ts'

await onOldest(() => import('../../src/commands/evidence/evidence.test.ts'))
