/** Two phones of ours call each other over loopback. Whether they speak SIP is for independent peers to say (`test/peers`). */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { eventually } from '../../test/eventually.ts'
import { makePhone, type Phone, type PhoneOptions, type Session } from './phone.ts'

const CALLER_HZ = 440
const CALLEE_HZ = 1010
const BOTH = [CALLER_HZ, CALLEE_HZ]

async function withPhones(
  changes: { readonly caller?: Partial<PhoneOptions>; readonly callee?: Partial<PhoneOptions> },
  play: (caller: Phone, callee: Phone) => Promise<void>,
): Promise<void> {
  const common = {
    password: null,
    server: null,
    transport: 'udp',
    law: 'pcmu',
    ptimeMs: 20,
    behaviour: { answer: 'auto', answerAfterMs: 0 },
  } as const
  const caller = makePhone({ ...common, name: 'caller', toneHz: CALLER_HZ, ...changes.caller })
  const callee = makePhone({ ...common, name: 'callee', toneHz: CALLEE_HZ, ...changes.callee })
  await Promise.all([caller.start(), callee.start()])
  try {
    await play(caller, callee)
  } finally {
    await Promise.all([caller.stop(), callee.stop()])
  }
}

/** Both ends of an established call. */
async function talk(caller: Phone, callee: Phone): Promise<{ readonly out: Session; readonly in: Session }> {
  const out = await caller.call(callee.uri)
  await eventually('established', () => out.state === 'established' && callee.current()?.state === 'established')
  const incoming = callee.current()
  assert.ok(incoming)
  return { out, in: incoming }
}

const hears = (session: Session, tones: readonly number[]) =>
  eventually(`hears ${tones.join('+') || 'silence'}`, () => BOTH.every((hz) => session.hears(hz) === (tones.includes(hz) ? 'heard' : 'silent')))

describe('a phone', () => {
  for (const transport of ['udp', 'tcp'] as const) {
    it(`calls another over ${transport}; both hear each other and not themselves; the end is completed`, async () => {
      await withPhones({ caller: { transport } }, async (caller, callee) => {
        const call = await talk(caller, callee)
        await Promise.all([hears(call.out, [CALLEE_HZ]), hears(call.in, [CALLER_HZ])])
        call.out.hangUp()
        await eventually('both ended', () => call.out.state === 'ended' && call.in.state === 'ended')
        assert.deepEqual(
          [call.out.end, call.in.end],
          [
            { cause: 'completed', by: 'us', status: 0 },
            { cause: 'completed', by: 'peer', status: 0 },
          ],
        )
      })
    })
  }

  for (const ptimeMs of [10, 30, 60]) {
    it(`speaks in packets of ${ptimeMs} ms`, async () => {
      await withPhones(
        { caller: { ptimeMs, law: 'pcma', capturePackets: 5 }, callee: { law: 'pcma', capturePackets: 5 } },
        async (caller, callee) => {
          const call = await talk(caller, callee)
          await Promise.all([hears(call.out, [CALLEE_HZ]), hears(call.in, [CALLER_HZ])])
          await eventually('five packets', () => call.in.received().captured.length === 5)
          assert.deepEqual(
            call.in.received().captured.map(({ payload }) => payload.length),
            Array.from({ length: 5 }, () => ptimeMs * 8),
          )
          assert.equal(call.in.received().lost, 0)
        },
      )
    })
  }

  it('keeps its clock: what it says of its time is the time that has passed', async () => {
    await withPhones({ callee: { capturePackets: 1_000 } }, async (caller, callee) => {
      const call = await talk(caller, callee)
      const packets = () => call.in.received().captured
      await eventually('a second of packets', () => packets().length >= 50)
      const [first, last] = [packets()[0], packets().at(-1)]
      assert.ok(first && last)
      const [saidMs, passedMs] = [((last.timestamp - first.timestamp) >>> 0) / 8, last.at - first.at]
      assert.ok(Math.abs(saidMs - passedMs) < 100, `it said ${saidMs} ms in ${passedMs} ms`)
    })
  })

  it('without a law in common the call is refused', async () => {
    await withPhones({ caller: { law: 'pcma' } }, async (caller, callee) => {
      const out = await caller.call(callee.uri)
      await eventually('ended', () => out.end !== null)
      assert.deepEqual(out.end, { cause: 'failed', by: 'peer', status: 488 })
    })
  })

  it('stopped while it dials, it says so and leaves nothing open', async () => {
    await withPhones({}, async (caller, callee) => {
      const dialling = caller.call(callee.uri)
      const [dialled] = await Promise.allSettled([dialling, caller.stop()])
      assert.match(String(dialled.status === 'rejected' && dialled.reason), /was stopped while it dialled/)
      assert.equal(callee.current(), null)
    })
  })

  it('is busy when told so', async () => {
    await withPhones({ callee: { behaviour: { answer: 'busy', answerAfterMs: 0 } } }, async (caller, callee) => {
      const out = await caller.call(callee.uri)
      await eventually('ended', () => out.end !== null)
      assert.deepEqual(out.end, { cause: 'busy', by: 'peer', status: 486 })
    })
  })

  it('rings until the caller gives up', async () => {
    await withPhones({ callee: { behaviour: { answer: 'never', answerAfterMs: 0 } } }, async (caller, callee) => {
      const out = await caller.call(callee.uri)
      await eventually('rings', () => out.state === 'ringing' && callee.current()?.state === 'ringing')
      out.hangUp()
      await eventually('ended', () => out.end !== null && callee.current()?.end !== null)
      assert.deepEqual([out.end?.cause, callee.current()?.end?.cause], ['canceled', 'canceled'])
    })
  })

  it('answers by hand, refuses by hand', async () => {
    await withPhones({ callee: { behaviour: { answer: 'manual', answerAfterMs: 0 } } }, async (caller, callee) => {
      const first = await caller.call(callee.uri)
      await eventually('rings', () => callee.current()?.state === 'ringing')
      callee.current()?.answer()
      await eventually('established', () => first.state === 'established')
      first.hangUp()
      const second = await caller.call(callee.uri)
      await eventually('rings', () => callee.current()?.state === 'ringing')
      callee.current()?.reject(603)
      await eventually('ended', () => second.end !== null)
      assert.deepEqual(second.end, { cause: 'failed', by: 'peer', status: 603 })
    })
  })

  it('a phone that is gone is a failure', { timeout: 60_000 }, async () => {
    await withPhones({ caller: { transport: 'tcp' } }, async (caller, callee) => {
      const { uri } = callee
      await callee.stop()
      const out = await caller.call(uri)
      await eventually('ended', () => out.end !== null)
      assert.equal(out.end?.cause, 'failed')
    })
  })

  it('holds and resumes, from either end', async () => {
    await withPhones({}, async (caller, callee) => {
      const call = await talk(caller, callee)
      for (const [holder, other, hz] of [
        [call.out, call.in, CALLEE_HZ],
        [call.in, call.out, CALLER_HZ],
      ] as const) {
        await holder.hold()
        await Promise.all([hears(holder, []), hears(other, [])])
        assert.equal(other.agreed()?.direction, 'inactive')
        await holder.resume()
        await Promise.all([hears(holder, [hz]), hears(other, [CALLER_HZ + CALLEE_HZ - hz])])
      }
    })
  })

  it('held with sendonly the other still hears the holder', async () => {
    await withPhones({}, async (caller, callee) => {
      const call = await talk(caller, callee)
      await call.out.hold('sendonly')
      await Promise.all([hears(call.out, []), hears(call.in, [CALLER_HZ])])
      assert.equal(call.out.agreed()?.direction, 'recvonly')
    })
  })

  it('muted it sends nothing at all; then another tone', async () => {
    await withPhones({}, async (caller, callee) => {
      const call = await talk(caller, callee)
      await hears(call.in, [CALLER_HZ])
      call.out.mute(true)
      await hears(call.in, [])
      call.out.setTone(CALLEE_HZ)
      call.out.mute(false)
      await hears(call.in, [CALLEE_HZ])
      assert.deepEqual(call.in.everHeard([...BOTH, 700]), BOTH)
    })
  })

  it('sends keys in order and reads them', async () => {
    await withPhones({}, async (caller, callee) => {
      const call = await talk(caller, callee)
      call.out.sendDigits('123#')
      call.in.sendDigits('99*')
      await eventually('keys arrive', () => call.in.digits() === '123#' && call.out.digits() === '99*')
      assert.throws(() => call.out.sendDigits('x'), /no key/)
    })
  })

  it('carries several calls at once, each with its own sound', async () => {
    await withPhones({}, async (caller, callee) => {
      const sessions = await Promise.all([caller.call(callee.uri), caller.call(callee.uri), caller.call(callee.uri)])
      for (const session of sessions) await hears(session, [CALLEE_HZ])
      sessions[1]?.hangUp()
      await eventually('one is over', () => sessions[1]?.end !== null)
      await Promise.all([hears(sessions[0] as Session, [CALLEE_HZ]), hears(sessions[2] as Session, [CALLEE_HZ])])
    })
  })

  it('stopping ends its calls for the far end too', async () => {
    await withPhones({}, async (caller, callee) => {
      const call = await talk(caller, callee)
      await caller.stop()
      await eventually('the far end knows', () => call.in.end !== null)
      assert.deepEqual(call.in.end, { cause: 'completed', by: 'peer', status: 0 })
    })
  })

  it('says what is wrong: not started, no server, no literal address', async () => {
    const lone = makePhone({
      name: 'lone',
      password: null,
      server: null,
      transport: 'udp',
      law: 'pcmu',
      toneHz: null,
      ptimeMs: 20,
      behaviour: { answer: 'auto', answerAfterMs: 0 },
    })
    await assert.rejects(lone.call('sip:x@127.0.0.1'), /not started/)
    await lone.start()
    await assert.rejects(lone.register(), /no server/)
    await assert.rejects(lone.call('sip:x@example.com'), /sip:user@IP:PORT/)
    await lone.stop()
  })
})
