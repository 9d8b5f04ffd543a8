/** Orders to the engine, and what must be had first: a sound from its address, a folder for a recording. */
import type { Call, Order } from '../domain/call.ts'
import type { Hearing } from '../domain/hearing.ts'
import type { CallId, SoundId } from '../domain/ids.ts'
import type { Engine } from '../engine/engine.ts'
import { NOTICE_TONE } from '../engine/notice-tone.ts'
import type { Clips } from '../sounds/clips.ts'
import type { Recordings } from '../sounds/recordings.ts'
import type { Log } from '../store/database.ts'

export interface OrdersOptions {
  readonly engine: Engine
  readonly clips: Pick<Clips, 'get'>
  readonly recordings: Pick<Recordings, 'prepare'>
  readonly log: Log
  /** The engine obeys this table; for those who follow. Must not throw. */
  readonly onHearing?: ((call: Call, table: Hearing) => void) | undefined
  /** A sound that cannot be had counts as played. Never rejects. */
  readonly onUnplayable: (callId: CallId, soundId: SoundId) => Promise<void>
  /** A tone could not be played. Never rejects. */
  readonly onToneFailed: (callId: CallId, soundId: SoundId) => Promise<void>
}

/** @throws what the engine throws: the call cannot go on as it was decided. */
export const makeGive =
  (options: OrdersOptions) =>
  (call: Call, order: Order): Promise<void> => {
    const { engine } = options
    switch (order.kind) {
      case 'dial':
        return engine.dial({
          callId: call.id,
          accountId: call.accountId,
          legId: order.legId,
          legKind: order.legKind,
          to: order.to,
          callerId: order.callerId,
        })
      case 'ring':
        return engine.ring(call.id, order.legId)
      case 'answer':
        return engine.answer(call.id, order.legId)
      case 'hang-up':
        return engine.hangUp(call.id, order.legId, order.cause)
      case 'set-hearing':
        // The whole table again is the repair of whatever went wrong with the first; a second failure ends the call.
        return engine
          .setHearing(call.id, order.hearing)
          .catch(() => engine.setHearing(call.id, order.hearing))
          .then(() => options.onHearing?.(call, order.hearing))
      case 'play':
        void play(options, call, order)
        return Promise.resolve()
      case 'play-tone':
        void playTone(options, call, order.soundId)
        return Promise.resolve()
      case 'record':
        return record(options, call, order)
    }
  }

/** A stranger's file may take long or be none: the call does not wait for it, and goes on without it. Never rejects. */
async function play(
  { engine, clips, log, onUnplayable }: OrdersOptions,
  { id: callId }: Call,
  order: Extract<Order, { kind: 'play' }>,
): Promise<void> {
  const { soundId, url, repeats } = order
  try {
    await engine.play({ callId, soundId, clip: await clips.get(url), repeats })
  } catch (error) {
    log.warn({ call: callId, sound: soundId, reason: error instanceof Error ? error.message : String(error) }, 'a sound could not be played')
    await onUnplayable(callId, soundId)
  }
}

/** Nobody waits for a tone, and one that fails ends no call. Never rejects. */
async function playTone({ engine, log, onToneFailed }: OrdersOptions, { id: callId }: Call, soundId: SoundId): Promise<void> {
  try {
    await engine.play({ callId, soundId, clip: NOTICE_TONE, repeats: false })
  } catch (error) {
    log.error({ call: callId, err: error }, 'a notice tone could not be played; the audit says so')
    await onToneFailed(callId, soundId)
  }
}

/** A full disk is no reason to end a call. Never rejects. */
async function record({ engine, recordings, log }: OrdersOptions, call: Call, { tapes }: Extract<Order, { kind: 'record' }>): Promise<void> {
  try {
    await engine.record({ callId: call.id, file: await recordings.prepare(call), tapes })
  } catch (error) {
    log.error({ call: call.id, err: error }, 'this call cannot be recorded')
  }
}
