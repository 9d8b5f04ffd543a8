import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Address } from './address.ts'
import { newLeg } from './commands.ts'
import { hearing } from './hearing.ts'
import type { LegId } from './ids.ts'
import { type Leg, MODES, type Mode } from './leg.ts'

const party = (name: string, origin: Leg['origin'] = 'outbound'): Leg => ({
  ...newLeg({ id: name as LegId, address: `client:${name}` as Address, origin, now: 0, ringMs: 1, limitMs: 1 }),
  state: { status: 'answered', answeredAt: 0, memory: null },
})
const customer = party('customer', 'outbound-dial')
const agent = party('agent')
const supervisor = (mode: Mode, name = 'supervisor', target = 'agent'): Leg => ({
  ...party(name, 'monitor'),
  monitoring: { mode, targetLegId: target as LegId, since: null, by: null, reasonCode: null },
})
const rows = (legs: readonly Leg[]): Record<string, readonly string[]> => Object.fromEntries(hearing(legs))

// Rows: mode. Columns: what each ear hears. The whole product in three lines.
const TABLE: Record<Mode, { customer: string[]; agent: string[]; supervisor: string[] }> = {
  listen: { customer: ['agent'], agent: ['customer'], supervisor: ['customer', 'agent'] },
  whisper: { customer: ['agent'], agent: ['customer', 'supervisor'], supervisor: ['customer', 'agent'] },
  barge: { customer: ['agent', 'supervisor'], agent: ['customer', 'supervisor'], supervisor: ['customer', 'agent'] },
}

for (const mode of MODES) {
  test(`[C23] ${mode}: each ear hears exactly its row`, () => {
    assert.deepEqual(rows([customer, agent, supervisor(mode)]), TABLE[mode])
  })
  test(`[C23] ${mode} at the customer as target changes only the whisper`, () => {
    const swapped = rows([customer, agent, supervisor(mode, 'supervisor', 'customer')])
    assert.equal(swapped.customer?.includes('supervisor'), mode !== 'listen')
    assert.equal(swapped.agent?.includes('supervisor'), mode === 'barge')
  })
  for (const other of MODES) {
    test(`[C23] a ${mode} and a ${other} supervisor: nobody hears themselves, and one hears the other only while the other barges`, () => {
      const both = rows([customer, agent, supervisor(mode, 's1'), supervisor(other, 's2')])
      for (const [listener, speakers] of Object.entries(both)) assert.ok(!speakers.includes(listener))
      assert.deepEqual(both.s1, ['customer', 'agent', ...(other === 'barge' ? ['s2'] : [])])
      assert.deepEqual(both.customer, ['agent', ...(mode === 'barge' ? ['s1'] : []), ...(other === 'barge' ? ['s2'] : [])])
      assert.deepEqual(both.agent, ['customer', ...(mode === 'listen' ? [] : ['s1']), ...(other === 'listen' ? [] : ['s2'])])
    })
  }
}

test('[C23] a leg that rings or has ended is deaf and dumb, whatever its mode', () => {
  for (const mode of MODES) {
    const ringing: Leg = { ...supervisor(mode), state: { status: 'ringing' } }
    const ended: Leg = { ...supervisor(mode, 'gone'), state: { status: 'ended', endedAt: 1, answeredAt: 0, cause: 'completed' } }
    assert.deepEqual(rows([customer, agent, ringing, ended]), { customer: ['agent'], agent: ['customer'] })
  }
})

test('[C23] in a whisper whose target is not in the call nobody hears the supervisor', () => {
  const alone = rows([customer, agent, supervisor('whisper', 'supervisor', 'somebody-who-left')])
  assert.deepEqual(alone, { customer: ['agent'], agent: ['customer'], supervisor: ['customer', 'agent'] })
})

test('an empty call has an empty table', () => assert.deepEqual(rows([]), {}))
