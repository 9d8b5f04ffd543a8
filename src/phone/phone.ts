/**
 * A small SIP telephone for the demonstration, the tests and the benchmarks: it registers, calls and is called, hums a tone,
 * and measures what it hears. It knows nothing of the server; everything it learns comes over the wire.
 *
 * `wire.ts` carries its SIP, `session.ts` is one call, `ear.ts` and `mouth.ts` are its sound.
 */
import type { Law } from '../media/g711.ts'
import { NO_BODY } from '../sip/message.ts'
import type { Credentials, Hop, SessionId, TransactionId, UaEvent } from '../sip/user-agent.ts'
import { firstOffer, makeSession, openSound, type Session, type SessionInside, type SessionOptions, type SoundOptions } from './session.ts'
import { openWire, type Wire } from './wire.ts'

export type { Session, SessionEnd, SessionState } from './session.ts'

/** What it does when it rings. `never`: rings for ever. */
export interface Behaviour {
  readonly answer: 'auto' | 'manual' | 'busy' | 'never'
  /** For `auto`. */
  readonly answerAfterMs: number
}

export interface PhoneOptions {
  /** The user part of its address, and its name at the registrar. */
  readonly name: string
  /** For the registrar's and the server's challenges; null answers none. */
  readonly password: string | null
  /** Registrar and outbound proxy; null: calls go straight to the address that is dialled. */
  readonly server: { readonly host: string; readonly port: number } | null
  readonly transport: 'udp' | 'tcp'
  readonly law: Law
  /** What it hums, Hz; null sends silence as sound. */
  readonly toneHz: number | null
  /** 10 to 60. */
  readonly ptimeMs: number
  readonly behaviour: Behaviour
  /** Newest raw packets kept per session, default 0. */
  readonly capturePackets?: number
  /** IP literal to bind, default 127.0.0.1. */
  readonly host?: string
  /** SIP port, default 0: a free one. */
  readonly port?: number
  /** Somebody calls; with `manual`, decide by `session.answer()` or `reject()`. */
  readonly onIncoming?: (session: Session) => void
  /** Every change of a session's state. */
  readonly onChange?: (session: Session) => void
}

export interface Phone {
  readonly name: string
  /** Its own SIP address, for who dials it directly; known once started. */
  readonly uri: string
  start(): Promise<void>
  /** Registers and stays registered until `stop`. @throws Error with the registrar's status, or when there is no server. */
  register(): Promise<void>
  /** Dials `sip:…`. @throws Error when it has no literal address to send to, or too many calls. */
  call(uri: string): Promise<Session>
  /** The newest session, ended or not. */
  current(): Session | null
  /** Hangs up everything, unregisters without waiting long, closes the sockets. */
  stop(): Promise<void>
}

/** Live calls of one phone at most; a further one finds it busy. */
const MAX_SESSIONS = 128
const REGISTERED_SECONDS = 300
/** How long `stop` waits for far ends to agree, ms. */
const GOODBYE_MS = 300
const PRODUCT = 'Earshot-Phone'

export function makePhone(options: PhoneOptions): Phone {
  const core: Core = {
    options,
    host: options.host ?? '127.0.0.1',
    wire: null,
    newest: null,
    refresh: null,
    registration: null,
    sessions: new Map(),
    pending: new Map(),
    answering: new Set(),
    opening: new Set(),
    gone: new Set(),
  }
  return {
    name: options.name,
    get uri() {
      return ownUri(core)
    },
    async start() {
      core.wire = await openWire({ host: core.host, port: options.port ?? 0, product: PRODUCT, onEvent: (event) => onEvent(core, event) })
    },
    async register() {
      const status = await registerFor(core, REGISTERED_SECONDS)
      if (status !== 200) throw new Error(`phone ${options.name} could not register: ${status}`)
      if (core.refresh !== null) clearInterval(core.refresh)
      // A refresh that fails shows when the phone is called; the next one may succeed.
      core.refresh = setInterval(() => void registerFor(core, REGISTERED_SECONDS), (REGISTERED_SECONDS / 2) * 1000)
    },
    call: (uri) => call(core, uri),
    current: () => core.newest,
    stop: () => stop(core),
  }
}

/** What a phone holds while it is on. */
interface Core {
  readonly options: PhoneOptions
  readonly host: string
  wire: Wire | null
  newest: Session | null
  refresh: NodeJS.Timeout | null
  /** Call-ID of its registrations. */
  registration: string | null
  readonly sessions: Map<SessionId, SessionInside>
  /** Requests of its own that wait for their final status. */
  readonly pending: Map<TransactionId, (status: number) => void>
  readonly answering: Set<NodeJS.Timeout>
  /** Invitations whose RTP port is being opened, and those of them that were taken back meanwhile. */
  readonly opening: Set<SessionId>
  readonly gone: Set<SessionId>
}

function onEvent(core: Core, event: UaEvent): void {
  switch (event.kind) {
    case 'invited':
      return onInvited(core, event.session, event.request.body)
    case 'progress':
      return event.status >= 180 ? core.sessions.get(event.session)?.onProgress() : undefined
    case 'accepted':
      return core.sessions.get(event.session)?.onAccepted(event.body)
    case 'confirmed':
      return core.sessions.get(event.session)?.onConfirmed(event.body)
    case 'reoffered':
      return core.sessions.get(event.session)?.onReoffered(event.body)
    case 'renegotiated':
      return core.sessions.get(event.session)?.onRenegotiated(event.body)
    case 'renegotiation-failed':
      return core.sessions.get(event.session)?.onRenegotiationFailed(event.status)
    case 'ended':
      if (core.opening.has(event.session)) core.gone.add(event.session)
      return core.sessions.get(event.session)?.onEnded(event.reason, event.by, event.status)
    case 'request': {
      const { agent, carryOut, now } = started(core)
      return carryOut(agent.respond(event.transaction, event.request.method === 'OPTIONS' ? 200 : 501, [], NO_BODY, now()))
    }
    case 'response':
      return core.pending.get(event.transaction)?.(event.response.status)
    case 'request-failed':
      return core.pending.get(event.transaction)?.(408)
    case 'malformed':
      return
  }
}

function onInvited(core: Core, id: SessionId, offer: Uint8Array): void {
  const { agent, carryOut, now } = started(core)
  const refuse = (status: number): void => carryOut(agent.reject(id, status, [], now()))
  if (core.sessions.size + core.opening.size >= MAX_SESSIONS) return refuse(486)
  core.opening.add(id)
  openSound(soundOf(core)).then(
    (opened) => {
      core.opening.delete(id)
      const isWanted = !core.gone.delete(id) && core.wire !== null
      const inside = isWanted ? begin(core, { id, direction: 'in', sound: opened, offer }) : null
      if (inside !== null) return rings(core, inside.session)
      opened.line.close()
      if (isWanted) refuse(488)
    },
    () => {
      core.opening.delete(id)
      if (!core.gone.delete(id)) refuse(500)
    },
  )
}

function rings(core: Core, session: Session): void {
  const { options, answering } = core
  const { agent, carryOut, now } = started(core)
  if (options.behaviour.answer === 'busy') return session.reject(486)
  carryOut(agent.progress(session.id, 180, NO_BODY, now()))
  options.onIncoming?.(session)
  if (options.behaviour.answer !== 'auto') return
  const timer = setTimeout(() => {
    answering.delete(timer)
    session.answer()
  }, options.behaviour.answerAfterMs)
  answering.add(timer)
}

async function call(core: Core, uri: string): Promise<Session> {
  const { options, sessions } = core
  const { agent, carryOut, now } = started(core)
  const to = hopOf(options, uri)
  if (sessions.size >= MAX_SESSIONS) throw new Error(`phone ${options.name} has ${MAX_SESSIONS} calls already`)
  const opened = await openSound(soundOf(core))
  if (core.wire === null) {
    opened.line.close()
    throw new Error(`phone ${options.name} was stopped while it dialled`)
  }
  const order = {
    uri,
    to,
    fromHeader: `<${identity(core)}>`,
    toHeader: `<${uri}>`,
    body: firstOffer(opened),
    credentials: credentialsOf(options),
    route: [],
    headers: [],
  }
  const { session: id, outputs } = agent.invite(order, now())
  const inside = begin(core, { id, direction: 'out', sound: opened, offer: NO_BODY })
  if (inside === null) throw new Error('a call without an offer cannot be refused')
  carryOut(outputs)
  return inside.session
}

function begin(core: Core, order: Pick<SessionOptions, 'id' | 'direction' | 'sound' | 'offer'>): SessionInside | null {
  const onChange = (session: Session): void => {
    if (session.state === 'ended') core.sessions.delete(session.id)
    core.options.onChange?.(session)
  }
  const inside = makeSession({ ...order, wire: started(core), onChange })
  if (inside === null) return null
  core.sessions.set(order.id, inside)
  core.newest = inside.session
  return inside
}

/** Resolves with the final status. */
function registerFor(core: Core, seconds: number): Promise<number> {
  const { options, pending } = core
  const { name, server, transport } = options
  if (server === null) throw new Error(`phone ${name} has no server to register at`)
  const { agent, carryOut, now } = started(core)
  core.registration ??= `${name}-${crypto.randomUUID()}`
  const own = `<${identity(core)}>`
  const contact = `<${ownUri(core)}${transport === 'tcp' ? ';transport=tcp' : ''}>`
  const order = {
    method: 'REGISTER',
    uri: `sip:${server.host}:${server.port}`,
    to: { transport, ...server },
    credentials: credentialsOf(options),
    callId: core.registration,
    fromHeader: own,
    toHeader: own,
    body: NO_BODY,
    headers: [
      { name: 'Contact', value: contact },
      { name: 'Expires', value: String(seconds) },
    ],
  }
  return new Promise((resolve) => {
    const { transaction, outputs } = agent.request(order, now())
    pending.set(transaction, (status) => {
      pending.delete(transaction)
      resolve(status)
    })
    carryOut(outputs)
  })
}

async function stop(core: Core): Promise<void> {
  const { wire, registration } = core
  if (wire === null) return
  for (const timer of core.answering) clearTimeout(timer)
  if (core.refresh !== null) clearInterval(core.refresh)
  for (const { session } of [...core.sessions.values()]) session.hangUp()
  const farewell = registration === null ? Promise.resolve(0) : registerFor(core, 0)
  const patience = new Promise<void>((resolve) => setTimeout(resolve, registration === null ? 0 : GOODBYE_MS))
  await Promise.race([farewell, patience])
  core.wire = null
  await wire.close()
}

function started({ wire, options }: Core): Wire {
  if (wire === null) throw new Error(`phone ${options.name} is not started`)
  return wire
}

const ownUri = (core: Core): string => `sip:${core.options.name}@${core.host}:${started(core).port}`

/** How it is known to the world: at its server when it has one, else at its own address. */
function identity(core: Core): string {
  const { name, server } = core.options
  return server === null ? ownUri(core) : `sip:${name}@${server.host}:${server.port}`
}

const credentialsOf = ({ name, password }: PhoneOptions): Credentials | null => (password === null ? null : { username: name, password })

const soundOf = ({ host, options: { law, ptimeMs, toneHz, capturePackets = 0 } }: Core): SoundOptions => ({
  host,
  law,
  ptimeMs,
  toneHz,
  capturePackets,
})

function hopOf({ server, transport }: PhoneOptions, uri: string): Hop {
  if (server !== null) return { transport, ...server }
  const [, literal, port] = /^sip:(?:[^@]*@)?(\d+\.\d+\.\d+\.\d+)(?::(\d+))?/.exec(uri) ?? []
  if (literal === undefined) throw new Error('without a server a phone dials sip:user@IP:PORT only')
  return { transport, host: literal, port: Number(port ?? 5060) }
}
