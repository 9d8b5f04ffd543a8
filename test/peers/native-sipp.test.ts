/** sipp on both sides of the native engine: it calls in by a trunk, and it is who is called. Here the test plays `control`. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { CallId, LegId } from '../../src/domain/ids.ts'
import type { LegEvent } from '../../src/engine/engine.ts'
import type { NativeEngine } from '../../src/engine/native/native-engine.ts'
import type { Address } from '../../src/domain/address.ts'
import { startLossyRelay } from './lossy-relay.ts'
import { ACCOUNT, freshId, HOST, NUMBER, withEngine } from './native.ts'
import { eventually } from '../eventually.ts'
import { freePort } from '../free-port.ts'
import { describeWith } from './peers.ts'
import { startSipp } from './sipp.ts'

const CALLS = 150
const CALLS_PER_SECOND = 30
const LOSS = 0.05
const SEED = 4475

/** Joins every caller with `destination`: dials it, answers when it answers, hangs up one when the other has gone. */
function joining(destination: Address): (event: LegEvent, engine: NativeEngine) => void {
  const partners = new Map<LegId, LegId>()
  const join = (one: LegId, other: LegId): void => void partners.set(one, other).set(other, one)
  return (event, engine) => {
    const { callId, legId } = event
    const partner = partners.get(legId)
    switch (event.kind) {
      case 'incoming': {
        const dialled = freshId() as LegId
        join(legId, dialled)
        return void engine.dial({ callId, legId: dialled, legKind: 'conversation', accountId: ACCOUNT, to: destination, callerId: NUMBER })
      }
      case 'ringing':
        return partner === undefined ? undefined : void engine.ring(callId, partner)
      case 'answered':
        if (partner === undefined) return
        void engine.answer(callId, partner)
        return void engine.setHearing(
          callId,
          new Map([
            [legId, [partner]],
            [partner, [legId]],
          ]),
        )
      case 'ended':
        return partner === undefined ? undefined : void engine.hangUp(callId, partner, 'completed')
    }
  }
}

const endsOf = (events: readonly LegEvent[]) => events.filter((event) => event.kind === 'ended')

describeWith('sipp', 'sipp and the native engine', () => {
  for (const loss of [0, LOSS]) {
    it(`${CALLS} calls at ${CALLS_PER_SECOND}/s from a trunk to a phone${loss > 0 ? `, with ${loss * 100} % loss each way between us and the phone` : ''}: none fails, nothing is left`, async () => {
      const [callerPort, calledPort] = [await freePort(), await freePort()]
      const relay = await startLossyRelay({ target: { host: HOST, port: calledPort }, loss, seed: SEED })
      const called = await startSipp({
        scenario: 'uas',
        target: null,
        calls: CALLS,
        rate: CALLS_PER_SECOND,
        port: calledPort,
        keys: { contact_port: String(relay.port) },
      })
      try {
        await withEngine({ agents: [], trunkPorts: [callerPort], onEvent: joining(`sip:phone@${HOST}:${relay.port}` as Address) }, async (test) => {
          const caller = await startSipp({
            scenario: 'uac',
            service: NUMBER,
            target: { host: HOST, port: test.port },
            calls: CALLS,
            rate: CALLS_PER_SECOND,
            port: callerPort,
            pauseMs: 200,
          })
          const calling = await caller.result
          assert.deepEqual({ ...calling, retransmissions: 0 }, { exitCode: 0, failed: 0, complaints: '', successful: CALLS, retransmissions: 0 })
          await eventually('no leg is left', () => test.engine.counts().legs === 0)
          const ends = endsOf(test.events)
          assert.equal(ends.length, 2 * CALLS)
          assert.equal(new Set(ends.map((event) => event.legId)).size, 2 * CALLS)
          assert.deepEqual([...new Set(ends.map((event) => event.cause))], ['completed'])
          const answering = await called.result
          assert.deepEqual({ ...answering, retransmissions: 0 }, { exitCode: 0, failed: 0, complaints: '', successful: CALLS, retransmissions: 0 })
          assert.deepEqual(test.complaints, [])
        })
      } finally {
        await called.stop()
        relay.close()
      }
    })
  }

  for (const scenario of ['uac-hold', 'uac-late-offer'] as const) {
    it(`a trunk's ${scenario === 'uac-hold' ? 'hold and resume' : 'call without an offer'} is answered as RFC 3264 has it`, async () => {
      const port = await freePort()
      const onEvent = (event: LegEvent, engine: NativeEngine): void => {
        if (event.kind === 'incoming') void engine.answer(event.callId, event.legId)
      }
      await withEngine({ agents: [], trunkPorts: [port], onEvent }, async (test) => {
        const sipp = await startSipp({ scenario, service: NUMBER, target: { host: HOST, port: test.port }, calls: 20, rate: 20, pauseMs: 30, port })
        const { exitCode, complaints, successful } = await sipp.result
        assert.deepEqual({ exitCode, complaints, successful }, { exitCode: 0, complaints: '', successful: 20 })
        await eventually('all have ended', () => endsOf(test.events).length === 20)
      })
    })
  }

  it('a trunk gives up while it rings: canceled, each call once', async () => {
    const port = await freePort()
    const onEvent = (event: LegEvent, engine: NativeEngine): void => {
      if (event.kind === 'incoming') void engine.ring(event.callId, event.legId)
    }
    await withEngine({ agents: [], trunkPorts: [port], onEvent }, async (test) => {
      const sipp = await startSipp({ scenario: 'uac-cancel', service: NUMBER, target: { host: HOST, port: test.port }, calls: 20, rate: 20, port })
      const { exitCode, complaints, successful } = await sipp.result
      assert.deepEqual({ exitCode, complaints, successful }, { exitCode: 0, complaints: '', successful: 20 })
      await eventually('all have ended', () => endsOf(test.events).length === 20)
      assert.deepEqual([...new Set(endsOf(test.events).map((event) => event.cause))], ['canceled'])
    })
  })

  it('a trunk gives up just when it is answered: whoever wins, each leg ends once', async () => {
    const port = await freePort()
    const onEvent = (event: LegEvent, engine: NativeEngine): void => {
      if (event.kind !== 'incoming') return
      void engine.ring(event.callId, event.legId).then(() => engine.answer(event.callId, event.legId))
    }
    await withEngine({ agents: [], trunkPorts: [port], onEvent }, async (test) => {
      const sipp = await startSipp({
        scenario: 'uac-cancel-race',
        service: NUMBER,
        target: { host: HOST, port: test.port },
        calls: 50,
        rate: 50,
        port,
      })
      const { exitCode, complaints, successful } = await sipp.result
      assert.deepEqual({ exitCode, complaints, successful }, { exitCode: 0, complaints: '', successful: 50 })
      await eventually('all have ended', () => endsOf(test.events).length === 50)
      assert.equal(new Set(endsOf(test.events).map((event) => event.legId)).size, 50)
    })
  })

  it('a phone of sipp is busy', async () => {
    const sipp = await startSipp({ scenario: 'uas-busy', target: null, calls: 1, rate: 1 })
    await withEngine({ agents: [] }, async (test) => {
      const legId = await test.dial(freshId() as CallId, `sip:phone@${HOST}:${sipp.port}`)
      const end = await test.happens(legId, 'ended')
      assert.equal(end.kind === 'ended' && end.cause, 'busy')
      assert.equal((await sipp.result).exitCode, 0)
    })
  })

  it('a stranger who is no trunk is challenged and gets no call', async () => {
    await withEngine({ agents: [] }, async (test) => {
      const sipp = await startSipp({ scenario: 'uac', service: NUMBER, target: { host: HOST, port: test.port }, calls: 1, rate: 1, limitMs: 4_000 })
      const { successful, complaints } = await sipp.result
      assert.equal(successful, 0)
      assert.match(complaints, /SIP\/2\.0 40[137]/)
      assert.deepEqual(test.events, [])
    })
  })
})
