/**
 * Registering at trunks that must be told where we are (RFC 3261 §10.2): again before it lapses, later after a failure.
 */
import { contacts, expirySeconds } from '../../sip/header.ts'
import type { SipResponse } from '../../sip/message.ts'
import { writeHostPort } from '../../sip/uri.ts'
import type { Hop, TransactionId, UaEvent } from '../../sip/user-agent.ts'
import { credentialsOf, type Trunk } from './routing.ts'
import type { EngineLog, SipShell } from './sip-shell.ts'

/** What we ask for, and what we take it to be when the trunk does not say, s. */
export const REGISTER_EXPIRES_S = 600
/** The next try after a failure; longer than a REGISTER waits for its answer. */
export const RETRY_MS = 45_000
const MIN_REFRESH_MS = 5_000
/** We are back well before the registration lapses. */
const REFRESH_SHARE = 0.8

export interface TrunkRegistrationsOptions {
  readonly trunks: readonly Trunk[]
  readonly shell: SipShell
  readonly token: () => string
  readonly log: EngineLog
  readonly trust: (hop: Hop) => void
}

export interface TrunkRegistrations {
  onEvent(event: Extract<UaEvent, { kind: 'response' | 'request-failed' }>): void
  /** Signs off; does not wait for the answer. */
  stop(): Promise<void>
}

interface Line {
  readonly trunk: Trunk
  /** The same for all refreshes (RFC 3261 §10.2.4). */
  readonly callId: string
  timer: NodeJS.Timeout | null
  isRegistered: boolean
}

export function keepRegistered(options: TrunkRegistrationsOptions): TrunkRegistrations {
  const lines = options.trunks
    .filter((trunk) => trunk.settings.register === true)
    .map((trunk): Line => ({ trunk, callId: options.token(), timer: null, isRegistered: false }))
  const asked = new Map<TransactionId, Line>()
  let isStopping = false

  const again = (line: Line, inMs: number): void => {
    if (line.timer !== null) clearTimeout(line.timer)
    line.timer = isStopping ? null : setTimeout(() => void ask(line, REGISTER_EXPIRES_S), inMs)
  }
  const ask = async (line: Line, expiresS: number): Promise<void> => {
    const sent = await register(options, line, expiresS)
    if (sent !== null && expiresS > 0) asked.set(sent, line)
    // Whatever becomes of this one, there is a next; an answer moves it.
    again(line, RETRY_MS)
  }

  for (const line of lines) void ask(line, REGISTER_EXPIRES_S)
  return {
    onEvent(event) {
      const line = asked.get(event.transaction)
      if (line === undefined) return
      asked.delete(event.transaction)
      const isGood = event.kind === 'response' && event.response.status < 300
      if (isGood !== line.isRegistered)
        options.log.info(
          {
            trunk: line.trunk.settings.name,
            registered: isGood,
            ...(event.kind === 'response' ? { status: event.response.status } : { reason: event.reason }),
          },
          'a trunk registration changed',
        )
      line.isRegistered = isGood
      again(line, isGood && event.kind === 'response' ? refreshMs(event.response) : RETRY_MS)
    },
    async stop() {
      isStopping = true
      for (const line of lines) if (line.timer !== null) clearTimeout(line.timer)
      await Promise.all(lines.filter((line) => line.isRegistered).map((line) => ask(line, 0)))
    },
  }
}

async function register({ shell, trust, log }: TrunkRegistrationsOptions, line: Line, expiresS: number): Promise<TransactionId | null> {
  const { settings, target } = line.trunk
  const hop = await shell.resolve(target)
  if (hop === null) {
    log.warn({ trunk: settings.name }, 'the host of a trunk has no address')
    return null
  }
  trust(hop)
  const host = writeHostPort({ host: target.host, port: null })
  const uri = `sip:${writeHostPort({ host: target.host, port: target.port })}`
  const self = `<sip:${settings.username ?? settings.name}@${host}>`
  const order = {
    method: 'REGISTER',
    uri,
    to: hop,
    fromHeader: self,
    toHeader: self,
    credentials: credentialsOf(settings),
    callId: line.callId,
    headers: [{ name: 'Expires', value: String(expiresS) }],
    body: new Uint8Array(0),
  }
  const sent = shell.drive((agent, now) => agent.request(order, now))
  if (sent === undefined) return null
  shell.carryOut(sent.outputs)
  return sent.transaction
}

/** What the trunk granted: the contact's own time, else Expires. */
function refreshMs(response: SipResponse): number {
  const listed = contacts(response)
  const granted = expirySeconds(response, listed === '*' ? null : (listed[0] ?? null)) ?? REGISTER_EXPIRES_S
  return Math.max(MIN_REFRESH_MS, granted * 1000 * REFRESH_SHARE)
}
