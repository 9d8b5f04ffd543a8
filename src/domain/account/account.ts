/** A tenant, and what it may dial. Deny by default: what no rule allows is refused. */
import { type Address, addressKind, clientName } from '../address.ts'
import type { TonePolicy } from '../evidence/tones.ts'
import type { AccountId } from '../ids.ts'
import type { DialLimits } from './dial-guard.ts'
import type { RatePlan } from './rating.ts'

/** A caller id of the account, and the phone that rings when somebody calls it from a trunk. */
export interface AccountNumber {
  readonly number: Address
  /** Null: calls to this number are refused. */
  readonly rings: Address | null
}

export interface Account {
  readonly id: AccountId
  /** IANA name; how dates are written on the wire (contract C5). */
  readonly timeZone: string
  readonly numbers: readonly AccountNumber[]
  /** Names of phones that may register, without `client:`. */
  readonly agents: readonly string[]
  /** Live supervisors on one call at most (C18). */
  readonly maxMonitors: number
  /** Who is told by a tone that somebody listens. Null: nobody has decided, and so nobody may monitor. */
  readonly notice: TonePolicy | null
  /** How its legs are charged; null or absent: they are not. */
  readonly plan?: RatePlan | null
  /** Its own fence; absent: the default caps. */
  readonly dial?: DialLimits
}

/** What may be dialled besides the account's own registered phones. */
export interface DialRules {
  /** E.164 prefixes with `+`, e.g. `+91`; `+` alone allows every number. */
  readonly prefixes: readonly string[]
  /** Hosts that `sip:` addresses may name; port null allows every port. */
  readonly hosts: readonly { readonly host: string; readonly port: number | null }[]
}

const DEFAULT_SIP_PORT = 5060
const SIP_HOST_PORT = /^sip:(?:[^@]*@)?(\[[^\]]+\]|[^:;?]+)(?::(\d+))?/

/**
 * @param rules The operator's, for all accounts. An account's own list narrows them: both must allow.
 * @returns Whether the account may dial the address: its own phones always, else by the rules, nothing otherwise.
 */
export function mayDial(account: Account, rules: DialRules, address: Address): boolean {
  if (addressKind(address) === 'client') return account.agents.includes(clientName(address))
  const own = account.dial?.allow ?? null
  return allows(rules, address) && (own === null || allows(own, address))
}

function allows(rules: DialRules, address: Address): boolean {
  switch (addressKind(address)) {
    case 'client':
      return false
    case 'number':
      return rules.prefixes.some((prefix) => address.startsWith(prefix))
    case 'sip': {
      const match = SIP_HOST_PORT.exec(address)
      if (!match) return false
      const host = match[1]?.replace(/^\[|\]$/g, '').toLowerCase()
      const port = match[2] === undefined ? DEFAULT_SIP_PORT : Number(match[2])
      return rules.hosts.some((rule) => rule.host.toLowerCase() === host && (rule.port === null || rule.port === port))
    }
  }
}

/** Who asks for what at the door: a phone of the account dials out, or a trunk brings a call for one of its numbers. */
export interface IncomingRequest {
  readonly from: Address
  readonly dialled: Address
  readonly source: 'agent' | 'trunk'
}

/**
 * Where an incoming call goes, or null when nowhere: a phone dials whatever the account may dial (a bare phone name
 * included), a trunk reaches the phone named for the number.
 */
export function routeIncoming(account: Account, rules: DialRules, request: IncomingRequest): Address | null {
  switch (request.source) {
    case 'agent':
      return mayDial(account, rules, request.dialled) ? request.dialled : null
    case 'trunk':
      return account.numbers.find((entry) => entry.number === request.dialled)?.rings ?? null
  }
}

/** What the dialled party sees: a trunk's caller as they are, a phone's call to a number as the account's first number. */
export function callerIdFor(account: Account, request: IncomingRequest, destination: Address): Address {
  if (request.source === 'trunk' || addressKind(destination) === 'client') return request.from
  return account.numbers[0]?.number ?? request.from
}
