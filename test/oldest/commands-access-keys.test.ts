/** `src/commands/access/keys.test.ts` on PostgreSQL 15. */
import { onOldest } from '../postgres.ts'

await onOldest(() => import('../../src/commands/access/keys.test.ts'))
