/** Whether a trunk is there: its host is looked up and asked for its OPTIONS (RFC 3261 §11), as a server of ours would ask. */
import { hexDigest, newToken } from '../../chance.ts'
import type { Config, TrunkConfig } from '../../config.ts'
import { credentialsOf, readTrunk, type Target } from '../../engine/native/routing.ts'
import { makeSipShell, type SipShell } from '../../engine/native/sip-shell.ts'
import { headerValue } from '../../sip/message.ts'
import { writeHostPort } from '../../sip/uri.ts'
import { type Credentials, type Hop, makeUserAgent, type TransactionId, type UaEvent, type UserAgent } from '../../sip/user-agent.ts'
import { type Check, ok, problem, warning } from './check.ts'
import { messageOf } from '../desk.ts'

/** A trunk that takes longer to answer is not there. */
const ANSWER_MS = 2_000

export type SipAnswer =
  /** `server` is empty when it does not say what it is. */
  | { readonly kind: 'answered'; readonly status: number; readonly server: string; readonly address: string }
  | { readonly kind: 'unknown host' }
  | { readonly kind: 'silent'; readonly address: string }
  | { readonly kind: 'unreachable'; readonly address: string }
  /** Nothing could be sent. */
  | { readonly kind: 'not asked'; readonly reason: string }

export interface Asking {
  /** IP literal: the address that is asked from. */
  readonly from: string
  readonly limitMs: number
  readonly credentials?: Credentials | null
}

export const trunkChecks = (config: Config): Promise<readonly Check[]> =>
  Promise.all(config.trunks.map((trunk) => trunkCheck(trunk, config.sip.host)))

async function trunkCheck(trunk: TrunkConfig, from: string): Promise<Check> {
  const name = `trunk ${trunk.name}`
  const target = readTrunk(trunk)?.target
  if (!target) return problem(name, 'its uri cannot be read', 'Write e.g. uri: sip:sip.operator.example:5060.')
  const credentials = credentialsOf(trunk)
  const answer = await askSip(target, { from, limitMs: ANSWER_MS, credentials })
  const where = `${target.transport.toUpperCase()} port ${target.port}`
  switch (answer.kind) {
    case 'answered':
      return answeredCheck(name, answer.status, `${answer.address} answers with ${answer.status}`, credentials !== null)
    case 'unknown host':
      return problem(name, `${target.host} has no address of the family of sip.host`, 'Correct the host in its uri, or the resolver of this machine.')
    case 'silent':
      return problem(
        name,
        `${answer.address} (${where}) does not answer OPTIONS within ${ANSWER_MS / 1000} s`,
        'Check host, port and transport in its uri and the firewall, and that the operator allows this address.',
      )
    case 'unreachable':
      return problem(name, `${answer.address} cannot be reached at ${where}`, 'Check host, port and transport in its uri, and the firewall.')
    case 'not asked':
      return warning(name, `could not be asked: ${answer.reason}`, 'Correct sip.host first.')
  }
}

/** 401, 404 and 405 come from operators that are well: OPTIONS is nothing to them. */
function answeredCheck(name: string, status: number, says: string, hasLogin: boolean): Check {
  if ((status === 401 || status === 407) && hasLogin)
    return warning(name, `${says}, also to the login`, 'Check username and password; some operators refuse every OPTIONS, then nothing is wrong.')
  if (status === 403) return warning(name, says, 'Ask the operator to allow this address, or for a login.')
  if (status >= 500) return warning(name, says, 'The operator is there, but not well: try again, then ask them.')
  return ok(name, says)
}

/** One OPTIONS request from a port of its own. Never throws. */
export async function askSip(target: Target, { from, limitMs, credentials = null }: Asking): Promise<SipAnswer> {
  const answered = Promise.withResolvers<Extract<UaEvent, { kind: 'response' | 'request-failed' }>>()
  let asked: TransactionId | null = null
  const shell = makeSipShell({
    host: from,
    port: 0,
    makeAgent: (advertised) => makeUserAgent({ advertised, token: newToken, hash: hexDigest, product: 'Earshot doctor' }),
    onEvent: (event) => {
      if ((event.kind === 'response' || event.kind === 'request-failed') && event.transaction === asked) answered.resolve(event)
    },
    admit: (bytes) => bytes.length > 0,
    isNeeded: () => false,
    onFlowClosed: () => {},
    now: Date.now,
    log: { info: () => {}, warn: () => {}, error: () => {} },
  })
  let late: NodeJS.Timeout | undefined
  try {
    await shell.open()
    const hop = await shell.resolve(target)
    if (hop === null) return { kind: 'unknown host' }
    const sent = send(shell, target, hop, credentials)
    if (sent === undefined) return { kind: 'not asked', reason: 'the request could not be made' }
    // It may be refused while it is sent.
    asked = sent.transaction
    shell.carryOut(sent.outputs)
    const event = await Promise.race([answered.promise, new Promise<null>((done) => (late = setTimeout(done, limitMs, null)))])
    if (event === null || (event.kind === 'request-failed' && event.reason === 'timeout')) return { kind: 'silent', address: hop.host }
    if (event.kind === 'request-failed') return { kind: 'unreachable', address: hop.host }
    return { kind: 'answered', status: event.response.status, server: headerValue(event.response, 'Server') ?? '', address: hop.host }
  } catch (error) {
    return { kind: 'not asked', reason: messageOf(error) }
  } finally {
    clearTimeout(late)
    await shell.close()
  }
}

function send(shell: SipShell, target: Target, to: Hop, credentials: Credentials | null): ReturnType<UserAgent['request']> | undefined {
  const uri = `sip:${writeHostPort({ host: target.host, port: target.port })}`
  const order = {
    method: 'OPTIONS',
    uri,
    to,
    fromHeader: `<sip:doctor@${writeHostPort(shell.advertised())}>`,
    toHeader: `<${uri}>`,
    credentials,
    headers: [{ name: 'Accept', value: 'application/sdp' }],
    body: new Uint8Array(0),
    callId: null,
  }
  return shell.drive((agent, now) => agent.request(order, now))
}
