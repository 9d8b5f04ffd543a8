/** The native engine as the peers' tests run it: one account, its phones and trunks, the events in a list. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Address } from '../../src/domain/address.ts'
import type { AccountId, CallId, LegId, SoundId } from '../../src/domain/ids.ts'
import type { DialOrder, LegEvent } from '../../src/engine/engine.ts'
import { makeMediaPlane } from '../../src/engine/native/media/media-thread.ts'
import { makeNativeEngine, type NativeEngine } from '../../src/engine/native/native-engine.ts'
import { eventually } from '../eventually.ts'

export const HOST = '127.0.0.1'
export const ACCOUNT = 'earshot' as AccountId
/** The account's number: it can be called, and it is what dialled phones see. */
export const NUMBER = '+918047112233' as Address

export interface TestEngine {
  readonly engine: NativeEngine
  readonly port: number
  readonly events: readonly LegEvent[]
  /** The sounds that came to their end. */
  readonly played: readonly SoundId[]
  /** Warnings and errors of the log: a test that went well has none of the latter. */
  readonly complaints: readonly string[]
  /** Dials and returns the leg's id. */
  dial(callId: CallId, to: string, legKind?: DialOrder['legKind']): Promise<LegId>
  /** Waits for an event of a leg. */
  happens(legId: LegId, kind: LegEvent['kind']): Promise<LegEvent>
}

export interface TestEngineOptions {
  readonly agents: readonly { readonly name: string; readonly password: string }[]
  /** Ports on this machine from which trunks call. */
  readonly trunkPorts?: readonly number[]
  readonly onEvent?: (event: LegEvent, engine: NativeEngine) => void
}

/** Starts an engine, plays, and stops it however that went. */
export async function withEngine({ agents, trunkPorts = [], onEvent }: TestEngineOptions, play: (test: TestEngine) => Promise<void>): Promise<void> {
  const events: LegEvent[] = []
  const played: SoundId[] = []
  const complaints: string[] = []
  const complain = (fields: Readonly<Record<string, unknown>>, message: string): void => void complaints.push(`${message} ${JSON.stringify(fields)}`)
  const engine = makeNativeEngine({
    sip: { host: HOST, port: 0 },
    rtp: { host: HOST },
    accounts: [{ id: ACCOUNT, agents, numbers: [NUMBER] }],
    trunks: trunkPorts.map((port, index) => ({ name: `trunk${index}`, uri: `sip:${HOST}:${port}`, numbers: [] })),
    media: makeMediaPlane({ host: HOST, portMin: 30_000, portMax: 39_999 }),
    parseNumber: (text) => (/^\+\d{7,15}$/.test(text) ? (text as Address) : null),
    newId: freshId,
    token: () => BigInt(`0x${randomBytes(12).toString('hex')}`).toString(36),
    hash: (algorithm, text) => createHash(algorithm).update(text).digest('hex'),
    now: Date.now,
    log: { info() {}, warn() {}, error: complain },
  })
  await engine.start((event) => {
    if (event.kind === 'played') return void played.push(event.soundId)
    events.push(event)
    onEvent?.(event, engine)
  })
  try {
    await play({
      engine,
      events,
      played,
      complaints,
      port: engine.sipPort(),
      async dial(callId, to, legKind = 'conversation') {
        const legId = freshId() as LegId
        await engine.dial({ callId, legId, legKind, accountId: ACCOUNT, to: to as Address, callerId: NUMBER })
        return legId
      },
      happens: (legId, kind) => eventually(`${kind} of ${legId}`, () => events.find((event) => event.legId === legId && event.kind === kind) ?? null),
    })
  } finally {
    await engine.stop()
  }
}

export const freshId = (): string => randomUUID().replaceAll('-', '')
