/** `src/control/api.test.ts` on PostgreSQL 15. */
import { onOldest } from '../postgres.ts'

await onOldest(() => import('../../src/control/api.test.ts'))
