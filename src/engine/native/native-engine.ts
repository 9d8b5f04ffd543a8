/**
 * The native engine: our own back-to-back user agent behind the port `engine.ts`. Here it is only put together.
 *
 *   sockets (sip-shell) ⇄ user agent (src/sip) ⇄ door, registrar ─ legs ⇄ media plane (worker)
 *
 * One rule: an order or an event that fails ends its own leg, is logged, and reaches nobody else.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { networkInterfaces } from 'node:os'
import type { Address } from '../../domain/address.ts'
import type { CallId, LegId, SoundId } from '../../domain/ids.ts'
import { makeDigestServer } from '../../sip/digest.ts'
import { writeHostPort, writeUri } from '../../sip/uri.ts'
import { type Credentials, type Hop, makeUserAgent, type UaEvent } from '../../sip/user-agent.ts'
import { NO_BODY } from '../../sip/message.ts'
import type { Engine, EngineEvent } from '../engine.ts'
import { answerWithinCall, type Door, makeDoor } from './door.ts'
import { answer, askTheSilent, dial, giveUp, hangUp, type Leg, type LegDesk, legOf, MAX_LEGS, onSessionEvent, ring, takeIn } from './legs.ts'
import type { MediaPlane } from './media-plane.ts'
import { makeRegistrar, type Registrar, sameHop } from './registrar.ts'
import { credentialsOf, type EngineAccount, readTrunk, trunksAt, type Trunk, type TrunkSettings, type World } from './routing.ts'
import { type EngineLog, isUnspecified, makeSipShell, outerAddress, type SipShell } from './sip-shell.ts'
import { keepRegistered, type TrunkRegistrations } from './trunk.ts'

/** How long `stop` waits for the far ends to confirm. */
export const FAREWELL_MS = 1_000
const FAREWELL_POLL_MS = 10
/** How often the addresses of the trunks' host names are asked for again. */
export const TRUNK_LOOKUP_MS = 60_000
/** A phone that sent no packet for so long is asked whether it is still there. */
export const SILENT_MS = 300_000
const PRODUCT = 'Earshot'

export interface NativeEngineOptions {
  readonly sip: {
    /** IP literal, or `0.0.0.0` or `::`. */
    readonly host: string
    /** UDP and TCP; 0: the system chooses one. */
    readonly port: number
    /** How phones and trunks reach us, when it is not `host`. */
    readonly advertise?: string
    /** Realm of our challenges; absent: the advertised host. Phones may also use it as their domain. */
    readonly realm?: string
  }
  readonly rtp: {
    /** Where the media plane listens. */
    readonly host: string
    /** IP literal for SDP, when it is not `host`. */
    readonly advertise?: string
  }
  readonly accounts: readonly EngineAccount[]
  readonly trunks: readonly TrunkSettings[]
  /** Started and stopped by the engine. */
  readonly media: MediaPlane
  /** What a trunk or phone dials, as an E.164 `Address`; anything else that it finds is not used (contract C7). */
  readonly parseNumber: (text: string) => Address | null
  /** Ids of calls and legs that come in. */
  readonly newId: () => string
  /** At least 64 random bits as `[0-9a-z]`. */
  readonly token: () => string
  readonly hash: (algorithm: 'md5' | 'sha256', text: string) => string
  /** Epoch ms. */
  readonly now: () => number
  readonly log: EngineLog
  /** Default `SILENT_MS`. */
  readonly silentMs?: number
}

export interface Registration {
  readonly name: string
  readonly contact: string
  /** Where it is reached. */
  readonly hop: Hop
  /** Epoch ms. */
  readonly expiresAt: number
}

export interface NativeEngine extends Engine {
  /** The phones that are registered now. */
  registrations(): readonly Registration[]
  /** `host:port` as phones are told; with the real port once started. */
  address(): string
  sipPort(): number
  /** What is held right now, for gauges and tests. */
  counts(): EngineCounts
}

export interface EngineCounts {
  readonly legs: number
  readonly sessions: number
  readonly transactions: number
  /** SIP messages since the engine was made: those that could not be read, and those that were dropped unread (too many from a source that has not proved itself). */
  readonly malformed: number
  readonly dropped: number
}

/** SIP messages that led to nothing. */
interface Seen {
  malformed: number
  dropped: number
}

/** What exists while the engine runs. */
interface Running {
  readonly options: NativeEngineOptions
  readonly shell: SipShell
  readonly registrar: Registrar
  readonly door: Door
  readonly desk: LegDesk
  readonly registrations: TrunkRegistrations
  readonly timers: readonly NodeJS.Timeout[]
  readonly seen: Seen
  isStopping: boolean
}

/** @throws Error when a trunk's URI is none, or two accounts have a phone of the same name. */
export function makeNativeEngine(options: NativeEngineOptions): NativeEngine {
  const trunks = readTrunks(options)
  assertNamesAreUnique(options.accounts)
  const registrar = makeRegistrar()
  let running: Running | null = null
  const seen: Seen = { malformed: 0, dropped: 0 }
  const shell = makeSipShell({
    ...options.sip,
    now: options.now,
    log: options.log,
    makeAgent: (advertised) => makeUserAgent({ advertised, token: options.token, hash: options.hash, product: PRODUCT }),
    admit(bytes, from) {
      const isAdmitted = running?.door.admit(bytes, from) ?? false
      if (!isAdmitted) seen.dropped++
      return isAdmitted
    },
    onEvent: (event) => (running === null ? undefined : onUaEvent(running, event)),
    isNeeded: (flow) => running !== null && isNeeded(running, flow),
    onFlowClosed: (flow) => registrar.forgetFlow(flow),
  })
  const withLeg = (callId: CallId, legId: LegId, work: (desk: LegDesk, leg: Leg) => void | Promise<void>): void | Promise<void> => {
    const leg = running === null ? null : legOf(running.desk, callId, legId)
    return running === null || leg === null ? undefined : work(running.desk, leg)
  }
  return {
    async start(onEvent) {
      await options.media.start(
        (legIds) => (running === null ? undefined : endLost(running.desk, legIds)),
        (callId, soundId) => (running === null ? undefined : reportPlayed(running.desk, callId, soundId)),
      )
      try {
        await shell.open()
        running = { ...(await begin(options, shell, registrar, trunks, onEvent)), seen }
      } catch (error) {
        await shell.close()
        await options.media.stop()
        throw error
      }
    },
    async stop() {
      if (running !== null && !running.isStopping) await end(running)
      running = null
    },
    async dial(order) {
      if (running === null) return
      const { callId, legId } = order
      if (running.isStopping) running.desk.report({ kind: 'ended', callId, legId, cause: 'failed' })
      else await dial(running.desk, order)
    },
    async ring(callId, legId) {
      await withLeg(callId, legId, ring)
    },
    async answer(callId, legId) {
      await withLeg(callId, legId, answer)
    },
    ...soundOrders(options.media, () => running?.desk ?? null),
    async hangUp(callId, legId, cause) {
      await withLeg(callId, legId, (desk, leg) => hangUp(desk, leg, cause))
    },
    async farewell(memories) {
      if (running !== null) sayFarewell(running.desk, memories)
    },
    registrations: () =>
      registrar.all(options.now()).map(({ name, contact, hop, expiresAt }) => ({ name, contact: writeUri(contact), hop, expiresAt })),
    address: () => writeHostPort(shell.advertised()),
    sipPort: () => shell.advertised().port,
    counts: () => ({ legs: running?.desk.legs.size ?? 0, sessions: shell.pendingSessions(), transactions: shell.transactions(), ...seen }),
  }
}

/** What goes to the media plane as it is, for calls that there are. */
function soundOrders(media: MediaPlane, deskNow: () => LegDesk | null): Pick<Engine, 'setHearing' | 'play' | 'record'> {
  const isKnown = (callId: CallId): boolean => deskNow()?.byCall.has(callId) === true
  return {
    async setHearing(callId, hearing) {
      if (isKnown(callId)) await media.setHearing(callId, hearing)
    },
    async play(order) {
      if (isKnown(order.callId)) await media.play(order)
    },
    async record(order) {
      if (!isKnown(order.callId)) return
      await media.record(order).catch((error: unknown) => {
        // A call that ended on the way has nothing to record, and nobody to tell.
        if (isKnown(order.callId)) throw error
      })
    },
  }
}

/** The media plane cannot bring their sound back. */
function endLost(desk: LegDesk, legIds: readonly LegId[]): void {
  for (const legId of legIds) {
    const leg = desk.legs.get(legId)
    if (leg !== undefined) giveUp(desk, leg, 'its sound is lost')
  }
}

/** After its last leg nothing happens in a call. */
function reportPlayed(desk: LegDesk, callId: CallId, soundId: SoundId): void {
  if (desk.byCall.has(callId)) desk.report({ kind: 'played', callId, soundId })
}

/** There were never more legs than `MAX_LEGS`; whatever is beyond is not of our making. */
function sayFarewell({ shell, world }: LegDesk, memories: readonly string[]): void {
  const credentialsAt = (hop: Hop): Credentials | null => {
    const [trunk] = trunksAt(world, hop)
    return trunk === undefined ? null : credentialsOf(trunk.settings)
  }
  for (const memory of memories.slice(0, MAX_LEGS)) shell.drive((agent, now) => agent.farewell(memory, credentialsAt, now))
}

function readTrunks({ trunks }: NativeEngineOptions): readonly Trunk[] {
  return trunks.map((settings) => {
    const trunk = readTrunk(settings)
    if (trunk === null) throw new Error(`trunk ${settings.name}: its uri must be like sip:host or sip:host:port;transport=tcp`)
    return trunk
  })
}

/** The name is what a phone proves, so it must lead to one account. */
function assertNamesAreUnique(accounts: readonly EngineAccount[]): void {
  const names = accounts.flatMap((account) => account.agents.map((agent) => agent.name))
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) throw new Error(`two phones are named ${twice}; a name can belong to one account only`)
}

async function begin(
  options: NativeEngineOptions,
  shell: SipShell,
  registrar: Registrar,
  trunks: readonly Trunk[],
  onEvent: (event: EngineEvent) => void,
): Promise<Omit<Running, 'seen'>> {
  const { sip, rtp, accounts, parseNumber, media, newId, now, log, token, hash } = options
  const { host: advertisedHost, port: ownPort } = shell.advertised()
  const realm = sip.realm ?? advertisedHost
  const known = new Map<Trunk, readonly string[]>()
  const world: World = {
    accounts,
    trunks,
    advertisedHost,
    ownPort,
    parseNumber,
    ownHosts: ownHosts(sip.host, advertisedHost, realm),
    bindings: (name) => registrar.bindings(name, now()),
    trunkAddresses: (trunk) => known.get(trunk) ?? [],
  }
  const lookUp = async (): Promise<void> => {
    const found = await Promise.all(trunks.map((trunk) => shell.addresses(trunk.target.host)))
    // A name that cannot be looked up for a while keeps the addresses it had.
    found.forEach((addresses, at) => trunks[at] && addresses.length > 0 && known.set(trunks[at], addresses))
  }
  await lookUp()
  const digest = makeDigestServer({ secret: token() + token(), hash })
  const door = makeDoor({
    realm,
    world,
    registrar,
    digest,
    now,
    onWrongPassword: (host) => log.warn({ host }, 'a wrong SIP password'),
    onPresence: ({ accountId, isReachable, from }) =>
      log.info(
        { account: accountId, host: from.host, transport: from.transport },
        isReachable ? 'a phone has registered' : 'a phone has unregistered',
      ),
  })
  const desk: LegDesk = {
    legs: new Map(),
    bySession: new Map(),
    byCall: new Map(),
    media,
    shell,
    world,
    newId,
    now,
    log,
    mediaHost: rtp.advertise ?? (isUnspecified(rtp.host) ? advertisedIp(advertisedHost, rtp.host) : rtp.host),
    trust: (hop) => door.trust(hop),
    report: (event) => tell(onEvent, event, log),
  }
  const silentMs = options.silentMs ?? SILENT_MS
  const ask = (): Promise<void> =>
    askTheSilent(desk, silentMs).catch((error: unknown) => log.warn({ error: String(error) }, 'silent phones could not be asked'))
  const timers = [setInterval(() => void lookUp(), TRUNK_LOOKUP_MS), setInterval(() => void ask(), silentMs / 8)]
  const registrations = keepRegistered({ trunks, shell, token, log, trust: (hop) => door.trust(hop) })
  return { options, shell, registrar, door, desk, registrations, timers, isStopping: false }
}

/** The house's own mistakes are its own. */
function tell(onEvent: (event: EngineEvent) => void, event: EngineEvent, log: EngineLog): void {
  try {
    onEvent(event)
  } catch (error) {
    log.error({ call: event.callId, event: event.kind, error: String(error) }, 'an engine event was not taken')
  }
}

async function end(running: Running): Promise<void> {
  const { desk, shell, options, timers } = running
  running.isStopping = true
  for (const timer of timers) clearInterval(timer)
  for (const leg of [...desk.legs.values()]) hangUp(desk, leg, leg.state === 'answered' ? 'completed' : 'canceled')
  await running.registrations.stop()
  const until = performance.now() + FAREWELL_MS
  while (shell.pendingSessions() > 0 && performance.now() < until) await sleep(FAREWELL_POLL_MS)
  await shell.close()
  await options.media.stop()
}

function onUaEvent(running: Running, event: UaEvent): void {
  const { door, desk, shell, options } = running
  switch (event.kind) {
    case 'invited':
      return onInvited(running, event)
    case 'progress':
    case 'accepted':
    case 'confirmed':
    case 'reoffered':
    case 'renegotiated':
    case 'renegotiation-failed':
    case 'ended':
      return contained(running, event)
    case 'request': {
      const { status, headers } = event.session === null ? door.request(event.request, event.from) : answerWithinCall(event.request)
      shell.drive((agent, now) => agent.respond(event.transaction, status, headers, NO_BODY, now))
      return
    }
    case 'response':
    case 'request-failed':
      return running.registrations.onEvent(event)
    case 'malformed':
      running.seen.malformed++
      return options.log.info({ host: event.from.host, reason: event.reason, legs: desk.legs.size }, 'a malformed SIP message')
  }
}

function onInvited(running: Running, { session, request, from }: Extract<UaEvent, { kind: 'invited' }>): void {
  const { door, desk, shell } = running
  const admission = running.isStopping ? ({ kind: 'refused', answer: { status: 503, headers: [] } } as const) : door.invited(request, from)
  if (admission.kind === 'caller') return takeIn(desk, session, admission.caller, request, from)
  const { status, headers } = admission.answer
  shell.drive((agent, now) => agent.reject(session, status, headers, now))
}

/** A bug in one leg's step ends that leg, loudly, and no other. */
function contained({ desk, options }: Running, event: Parameters<typeof onSessionEvent>[1]): void {
  const leg = desk.bySession.get(event.session)
  try {
    onSessionEvent(desk, event)
  } catch (error) {
    options.log.error(
      { call: leg?.callId, leg: leg?.legId, event: event.kind, error: error instanceof Error ? error.stack : String(error) },
      'a step of this leg failed',
    )
    if (leg !== undefined) giveUp(desk, leg, error)
  }
}

function isNeeded({ registrar, desk, options }: Running, flow: Hop): boolean {
  return (
    registrar.all(options.now()).some((binding) => sameHop(binding.hop, flow)) ||
    [...desk.legs.values()].some((leg) => leg.hop !== null && sameHop(leg.hop, flow))
  )
}

/** Every name by which a phone may mean us. */
function ownHosts(bound: string, advertised: string, realm: string): readonly string[] {
  const local = Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address))
  const names = [advertised, realm, ...(isUnspecified(bound) ? [...local, 'localhost'] : [bound])]
  return [...new Set(names.map((name) => name.toLowerCase()))]
}

/** SDP needs a literal; a name that we advertise for SIP does not tell one. */
function advertisedIp(advertised: string, bound: string): string {
  return /^[\d.]+$|:/.test(advertised) ? advertised : outerAddress(bound.includes(':') ? 6 : 4)
}
