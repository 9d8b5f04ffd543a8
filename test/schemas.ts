/** Holds a value against its schema as strictly as tests do. */
import assert from 'node:assert/strict'
import type * as z from 'zod'

/** Fails unless it reads as the schema says, with its keys in the schema's order and no others. */
export function assertIsA(schema: z.ZodType, value: unknown): void {
  const read = schema.safeParse(value)
  assert.ok(read.success, `${read.error?.message} ${JSON.stringify(value)}`)
  assert.equal(JSON.stringify(read.data), JSON.stringify(value))
}
