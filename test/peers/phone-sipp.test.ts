/** sipp against our SIP user agent, by way of our phone: load, loss, and the races of RFC 3261. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { makePhone, type Phone, type PhoneOptions, type Session } from '../../src/phone/phone.ts'
import { type LossyRelay, startLossyRelay } from './lossy-relay.ts'
import { eventually } from '../eventually.ts'
import { freePort } from '../free-port.ts'
import { describeWith } from './peers.ts'
import { type SippOptions, type SippResult, startSipp } from './sipp.ts'

const CALLS = 300
const CALLS_PER_SECOND = 50
const LOSS = 0.05
const SEED = 20_261_122
const LOCAL = '127.0.0.1'

async function withPhone(
  changes: Partial<PhoneOptions>,
  play: (phone: Phone, at: { readonly host: string; readonly port: number }) => Promise<void>,
): Promise<void> {
  const sessions: Session[] = []
  const phone = makePhone({
    name: 'ours',
    password: null,
    server: null,
    transport: 'udp',
    law: 'pcmu',
    toneHz: 440,
    ptimeMs: 20,
    behaviour: { answer: 'auto', answerAfterMs: 0 },
    onIncoming: (session) => void sessions.push(session),
    ...changes,
  })
  await phone.start()
  try {
    await play(phone, { host: LOCAL, port: Number(phone.uri.split(':').at(-1)) })
    await eventually('every call that came in has ended', () => sessions.every((session) => session.end !== null))
  } finally {
    await phone.stop()
  }
}

const WELL = { exitCode: 0, failed: 0, complaints: '' }
const verdictOf = ({ exitCode, failed, complaints, successful }: SippResult) => ({ exitCode, failed, complaints, successful })

async function callsUs(options: SippOptions): Promise<SippResult> {
  return (await startSipp(options)).result
}

/** Calls sipp `CALLS` times, at a steady pace; resolves with how each ended, when all have. */
async function callThem(phone: Phone, uri: string): Promise<readonly (Session['end'] | null)[]> {
  const sessions: Session[] = []
  const start = performance.now()
  for (let call = 0; call < CALLS; call++) {
    const lead = start + (call * 1000) / CALLS_PER_SECOND - performance.now()
    if (lead > 0) await sleep(lead)
    sessions.push(await phone.call(uri))
  }
  await eventually('all calls have ended', () => sessions.every((session) => session.end !== null), 15_000)
  return sessions.map((session) => session.end)
}

/** Hangs up 100 ms after the answer, as a caller who got the wrong number. */
const brief: Partial<PhoneOptions> = {
  onChange(session) {
    if (session.state === 'established') setTimeout(() => session.hangUp(), 100)
  },
}

const completed = (ends: readonly (Session['end'] | null)[]): number => ends.filter((end) => end?.cause === 'completed').length

describeWith('sipp', 'sipp calls our user agent', () => {
  for (const transport of ['udp', 'tcp'] as const) {
    it(`${CALLS} calls at ${CALLS_PER_SECOND}/s over ${transport}: none fails`, async () => {
      await withPhone({}, async (_phone, target) => {
        const result = await callsUs({ scenario: 'uac', target, transport, calls: CALLS, rate: CALLS_PER_SECOND })
        assert.deepEqual(verdictOf(result), { ...WELL, successful: CALLS })
      })
    })
  }

  it(`${CALLS} calls with ${LOSS * 100} % loss each way: none fails`, async () => {
    await withPhone({}, async (_phone, target) => {
      const relay = await startLossyRelay({ target, loss: LOSS, seed: SEED })
      try {
        const result = await callsUs({ scenario: 'uac', target: { host: LOCAL, port: relay.port }, calls: CALLS, rate: CALLS_PER_SECOND })
        assert.deepEqual(verdictOf(result), { ...WELL, successful: CALLS })
        assertLossy(relay)
      } finally {
        relay.close()
      }
    })
  })

  it('holds and resumes by re-INVITE, and every answer fits', async () => {
    await withPhone({}, async (_phone, target) => {
      const result = await callsUs({ scenario: 'uac-hold', target, calls: 50, rate: 50, pauseMs: 20 })
      assert.deepEqual(verdictOf(result), { ...WELL, successful: 50 })
    })
  })

  it('makes no offer, and gets ours', async () => {
    await withPhone({}, async (_phone, target) => {
      const result = await callsUs({ scenario: 'uac-late-offer', target, calls: 50, rate: 50 })
      assert.deepEqual(verdictOf(result), { ...WELL, successful: 50 })
    })
  })

  it('gives up while it rings', async () => {
    await withPhone({ behaviour: { answer: 'never', answerAfterMs: 0 } }, async (_phone, target) => {
      const result = await callsUs({ scenario: 'uac-cancel', target, calls: 50, rate: 50 })
      assert.deepEqual(verdictOf(result), { ...WELL, successful: 50 })
    })
  })

  it('gives up just when it is answered: whoever wins, the call is over on both sides', async () => {
    const causes = new Set<string>()
    const behaviour = { answer: 'auto', answerAfterMs: 0 } as const
    await withPhone({ behaviour, onChange: (session) => void (session.end && causes.add(session.end.cause)) }, async (_phone, target) => {
      const result = await callsUs({ scenario: 'uac-cancel-race', target, calls: 100, rate: 100 })
      assert.deepEqual(verdictOf(result), { ...WELL, successful: 100 })
    })
    assert.ok(
      [...causes].every((cause) => cause === 'canceled' || cause === 'completed'),
      [...causes].join(),
    )
  })
})

describeWith('sipp', 'our user agent calls sipp', () => {
  it(`${CALLS} calls at ${CALLS_PER_SECOND}/s: none fails`, async () => {
    await withPhone(brief, async (phone) => {
      const port = await freePort()
      const sipp = await startSipp({
        scenario: 'uas',
        target: null,
        calls: CALLS,
        rate: CALLS_PER_SECOND,
        port,
        keys: { contact_port: String(port) },
      })
      assert.equal(completed(await callThem(phone, `sip:sipp@${LOCAL}:${sipp.port}`)), CALLS)
      assert.deepEqual(verdictOf(await sipp.result), { ...WELL, successful: CALLS })
    })
  })

  it(`${CALLS} calls with ${LOSS * 100} % loss each way: none fails`, async () => {
    await withPhone(brief, async (phone) => {
      const port = await freePort()
      const relay = await startLossyRelay({ target: { host: LOCAL, port }, loss: LOSS, seed: SEED })
      const sipp = await startSipp({
        scenario: 'uas',
        target: null,
        calls: CALLS,
        rate: CALLS_PER_SECOND,
        port,
        keys: { contact_port: String(relay.port) },
      })
      try {
        assert.equal(completed(await callThem(phone, `sip:sipp@${LOCAL}:${relay.port}`)), CALLS)
        assert.deepEqual(verdictOf(await sipp.result), { ...WELL, successful: CALLS })
        assertLossy(relay)
      } finally {
        await sipp.stop()
        relay.close()
      }
    })
  })

  it('is told that sipp is busy', async () => {
    await withPhone({}, async (phone) => {
      const sipp = await startSipp({ scenario: 'uas-busy', target: null, calls: 1, rate: 1 })
      const session = await phone.call(`sip:sipp@${LOCAL}:${sipp.port}`)
      await eventually('the call has ended', () => session.end)
      assert.deepEqual(session.end, { cause: 'busy', by: 'peer', status: 486 })
      assert.deepEqual(verdictOf(await sipp.result), { ...WELL, successful: 1 })
    })
  })

  it('is hung up on by sipp', async () => {
    await withPhone({}, async (phone) => {
      const port = await freePort()
      const sipp = await startSipp({ scenario: 'uas-hangs-up', target: null, calls: 1, rate: 1, port, keys: { contact_port: String(port) } })
      const session = await phone.call(`sip:sipp@${LOCAL}:${sipp.port}`)
      await eventually('the call has ended', () => session.end)
      assert.deepEqual(session.end, { cause: 'completed', by: 'peer', status: 0 })
      assert.deepEqual(verdictOf(await sipp.result), { ...WELL, successful: 1 })
    })
  })

  it('hears its own tone come back', async () => {
    await withPhone({}, async (phone) => {
      const port = await freePort()
      const sipp = await startSipp({ scenario: 'uas', target: null, calls: 1, rate: 1, port, echo: true, keys: { contact_port: String(port) } })
      const session = await phone.call(`sip:sipp@${LOCAL}:${sipp.port}`)
      await eventually('the echo', () => session.hears(440) === 'heard' && session.hears(700) === 'silent')
      session.hangUp()
      assert.deepEqual(verdictOf(await sipp.result), { ...WELL, successful: 1 })
    })
  })
})

function assertLossy({ counts }: LossyRelay): void {
  const share = counts.lost / (counts.lost + counts.passed)
  assert.ok(share > LOSS / 2 && share < LOSS * 2, `the relay lost ${(share * 100).toFixed(1)} %`)
}
