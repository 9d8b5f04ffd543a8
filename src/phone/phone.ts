/**
 * A small SIP telephone for the demonstration, the tests and the benchmarks: it registers, calls and is called, hums a tone,
 * and measures what it hears. It knows nothing of the server; everything it learns comes over the wire.
 *
 * `wire.ts` carries its SIP, `session.ts` is one call, `ear.ts` and `mouth.ts` are its sound.
 */
import { type Law } from '../media/g711.ts'
import { type Hop, type SessionId, type TransactionId, type UaEvent } from '../sip/user-agent.ts'
import { firstOffer, makeSession, openSound, type Session, type SessionInside, type SoundOptions } from './session.ts'
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
export const MAX_SESSIONS = 128
const REGISTERED_SECONDS = 300
/** How long `stop` waits for far ends to agree, ms. */
const GOODBYE_MS = 300
const PRODUCT = 'Earshot-Phone'

export function makePhone(options: PhoneOptions): Phone {
  const { name, password, server, transport, behaviour, host = '127.0.0.1' } = options
  const sound: SoundOptions = { host, law: options.law, ptimeMs: options.ptimeMs, toneHz: options.toneHz, capturePackets: options.capturePackets ?? 0 }
  const credentials = password === null ? null : { username: name, password }
  const sessions = new Map<SessionId, SessionInside>()
  const pending = new Map<TransactionId, (status: number) => void>()
  const answering = new Set<NodeJS.Timeout>()
  let wire: Wire | null = null
  let newest: Session | null = null
  let refresh: NodeJS.Timeout | null = null
  let registration: string | null = null

  const started = (): Wire => {
    if (wire === null) throw new Error(`phone ${name} is not started`)
    return wire
  }
  const own = (): string => `sip:${name}@${host}:${started().port}`
  /** How it is known to the world: at its server when it has one, else at its own address. */
  const identity = (): string => (server === null ? own() : `sip:${name}@${server.host}:${server.port}`)
  const changed = (session: Session): void => {
    if (session.state === 'ended') sessions.delete(session.id)
    options.onChange?.(session)
  }
  const rings = (session: Session): void => {
    const { agent, carryOut, now } = started()
    if (behaviour.answer === 'busy') return session.reject(486)
    carryOut(agent.progress(session.id, 180, new Uint8Array(0), now()))
    options.onIncoming?.(session)
    if (behaviour.answer !== 'auto') return
    const timer = setTimeout(() => {
      answering.delete(timer)
      session.answer()
    }, behaviour.answerAfterMs)
    answering.add(timer)
  }
  const invited = async (id: SessionId, offer: Uint8Array): Promise<void> => {
    const at = started()
    const refuse = (status: number): void => at.carryOut(at.agent.reject(id, status, [], at.now()))
    if (sessions.size >= MAX_SESSIONS) return refuse(486)
    const opened = await openSound(sound)
    const inside = gone.delete(id) ? null : makeSession({ id, direction: 'in', wire: at, sound: opened, offer, onChange: changed })
    if (inside === null) {
      opened.line.close()
      return refuse(488)
    }
    sessions.set(id, inside)
    newest = inside.session
    rings(inside.session)
  }
  /** Invitations that were taken back while their port was being opened. */
  const gone = new Set<SessionId>()
  const opening = new Set<SessionId>()

  const onEvent = (event: UaEvent): void => {
    switch (event.kind) {
      case 'invited':
        opening.add(event.session)
        void invited(event.session, event.request.body).catch(() => {
          const at = started()
          at.carryOut(at.agent.reject(event.session, 500, [], at.now()))
        }).finally(() => opening.delete(event.session))
        return
      case 'progress':
        return event.status >= 180 ? sessions.get(event.session)?.onProgress() : undefined
      case 'accepted':
        return sessions.get(event.session)?.onAccepted(event.body)
      case 'confirmed':
        return sessions.get(event.session)?.onConfirmed(event.body)
      case 'reoffered':
        return sessions.get(event.session)?.onReoffered(event.body)
      case 'renegotiated':
        return sessions.get(event.session)?.onRenegotiated(event.body)
      case 'renegotiation-failed':
        return sessions.get(event.session)?.onRenegotiationFailed(event.status)
      case 'ended':
        if (opening.has(event.session)) gone.add(event.session)
        return sessions.get(event.session)?.onEnded(event.reason, event.by, event.status)
      case 'request': {
        const at = started()
        const status = event.request.method === 'OPTIONS' ? 200 : 501
        return at.carryOut(at.agent.respond(event.transaction, status, [], new Uint8Array(0), at.now()))
      }
      case 'response':
        return pending.get(event.transaction)?.(event.response.status)
      case 'request-failed':
        return pending.get(event.transaction)?.(408)
      case 'malformed':
        return
    }
  }

  const registerFor = (seconds: number): Promise<number> => {
    if (server === null) throw new Error(`phone ${name} has no server to register at`)
    const at = started()
    registration ??= `${name}-${crypto.randomUUID()}`
    const parameter = transport === 'tcp' ? ';transport=tcp' : ''
    const order = {
      method: 'REGISTER', uri: `sip:${server.host}:${server.port}`, to: { transport, ...server }, credentials, callId: registration,
      fromHeader: `<${identity()}>`, toHeader: `<${identity()}>`, body: new Uint8Array(0),
      headers: [{ name: 'Contact', value: `<${own()}${parameter}>` }, { name: 'Expires', value: String(seconds) }],
    }
    return new Promise((resolve) => {
      const { transaction, outputs } = at.agent.request(order, at.now())
      pending.set(transaction, (status) => {
        pending.delete(transaction)
        resolve(status)
      })
      at.carryOut(outputs)
    })
  }
  const hopOf = (uri: string): Hop => {
    if (server !== null) return { transport, ...server }
    const [, literal, port] = /^sip:(?:[^@]*@)?(\d+\.\d+\.\d+\.\d+)(?::(\d+))?/.exec(uri) ?? []
    if (literal === undefined) throw new Error('without a server a phone dials sip:user@IP:PORT only')
    return { transport, host: literal, port: Number(port ?? 5060) }
  }

  return {
    name,
    get uri() { return own() },
    async start() {
      wire = await openWire({ host, port: options.port ?? 0, product: PRODUCT, onEvent })
    },
    async register() {
      const status = await registerFor(REGISTERED_SECONDS)
      if (status !== 200) throw new Error(`phone ${name} could not register: ${status}`)
      if (refresh !== null) clearInterval(refresh)
      // A refresh that fails shows when the phone is called; the next one may succeed.
      refresh = setInterval(() => void registerFor(REGISTERED_SECONDS), (REGISTERED_SECONDS / 2) * 1000)
    },
    async call(uri) {
      const at = started()
      const to = hopOf(uri)
      if (sessions.size >= MAX_SESSIONS) throw new Error(`phone ${name} has ${MAX_SESSIONS} calls already`)
      const opened = await openSound(sound)
      const order = { uri, to, fromHeader: `<${identity()}>`, toHeader: `<${uri}>`, body: firstOffer(opened), credentials, route: [], headers: [] }
      const { session: id, outputs } = at.agent.invite(order, at.now())
      const inside = makeSession({ id, direction: 'out', wire: at, sound: opened, offer: new Uint8Array(0), onChange: changed })
      if (inside === null) throw new Error('a call without an offer cannot be refused')
      sessions.set(id, inside)
      newest = inside.session
      at.carryOut(outputs)
      return inside.session
    },
    current: () => newest,
    async stop() {
      if (wire === null) return
      for (const timer of answering) clearTimeout(timer)
      if (refresh !== null) clearInterval(refresh)
      for (const { session } of [...sessions.values()]) session.hangUp()
      const farewell = registration === null ? Promise.resolve(0) : registerFor(0)
      const patience = new Promise<void>((resolve) => setTimeout(resolve, registration === null ? 0 : GOODBYE_MS))
      await Promise.race([farewell, patience])
      const closing = wire
      wire = null
      await closing.close()
    },
  }
}
