/**
 * Who is who, purely: where an address is dialled to, who an incoming request comes from, and whom it wants.
 *
 * One rule: a caller is a trunk because of where it calls from, or an agent (or trunk) because of a password; everybody else
 * is challenged and learns nothing. What a caller wrote becomes an `Address` or is refused here.
 */
import { type Address, addressKind, clientAddress, clientName } from '../../domain/address.ts'
import type { AccountId } from '../../domain/ids.ts'
import { headerValue, type SipRequest } from '../../sip/message.ts'
import { escapeUser, parseNameAddr, parseUri, type SipUri, userText, writeHostPort, writeUri } from '../../sip/uri.ts'
import type { Credentials, Hop } from '../../sip/user-agent.ts'
import type { Binding } from './registrar.ts'

export const SIP_PORT = 5060
/** Longest user and host of a `sip:` address that a caller may name or have. */
export const MAX_ADDRESS_CHARS = 128

export interface EngineAccount {
  readonly id: AccountId
  /** Phones that may register; a name belongs to one account. */
  readonly agents: readonly { readonly name: string; readonly password: string }[]
  readonly numbers: readonly Address[]
}

export interface TrunkSettings {
  readonly name: string
  /** `sip:host[:port][;transport=tcp]`. */
  readonly uri: string
  /** For its challenges, and for ours when it calls; null or absent: it knows us by our address. */
  readonly username?: string | null
  readonly password?: string | null
  /** Numbers that it carries; none: all. */
  readonly numbers: readonly Address[]
  /** We register there, so that it knows where we are. */
  readonly register?: boolean
}

export interface Trunk {
  readonly settings: TrunkSettings
  readonly target: Target
}

/** Where to send; a host that is no IP literal is still to be looked up. */
export interface Target {
  readonly transport: 'udp' | 'tcp'
  readonly host: string
  readonly port: number
}

/** What routing must know. */
export interface World {
  readonly accounts: readonly EngineAccount[]
  readonly trunks: readonly Trunk[]
  /** Host that we show in From, and names and addresses by which callers may mean us; lower case. */
  readonly advertisedHost: string
  readonly ownHosts: readonly string[]
  readonly ownPort: number
  /** Only numbers of what it returns are used. */
  readonly parseNumber: (text: string) => Address | null
  readonly bindings: (name: string) => readonly Binding[]
  /** IP literals of a trunk's host, as far as known. */
  readonly trunkAddresses: (trunk: Trunk) => readonly string[]
}

export interface Destination {
  /** Request-URI. */
  readonly uri: string
  readonly target: Target
  readonly fromHeader: string
  readonly toHeader: string
  readonly credentials: Credentials | null
}

export type Route =
  | { readonly kind: 'to'; readonly destination: Destination }
  | { readonly kind: 'nowhere'; readonly reason: 'not registered' | 'no trunk' | 'address cannot be dialled' }

/** Null when the URI is not one of a trunk. */
export function readTrunk(settings: TrunkSettings): Trunk | null {
  const uri = parseUri(settings.uri)
  return uri === null || uri.scheme !== 'sip' || uri.host === '' ? null : { settings, target: targetOf(uri) }
}

export function credentialsOf({ username, password }: TrunkSettings): Credentials | null {
  return typeof username === 'string' && typeof password === 'string' ? { username, password } : null
}

/** Where that address of that account is dialled. Several phones of one name: the one heard of last. */
export function routeOut(world: World, order: { readonly accountId: AccountId; readonly to: Address; readonly callerId: Address }): Route {
  const { to, callerId } = order
  switch (addressKind(to)) {
    case 'client': {
      const name = clientName(to)
      const isOurs = world.accounts.some((account) => account.id === order.accountId && account.agents.some((agent) => agent.name === name))
      const binding = isOurs ? world.bindings(name)[0] : undefined
      if (binding === undefined) return { kind: 'nowhere', reason: 'not registered' }
      return toward({
        uri: writeUri(binding.contact),
        target: binding.hop,
        to: `sip:${escapeUser(name)}@${bracketed(world.advertisedHost)}`,
        from: shown(callerId, world.advertisedHost),
      })
    }
    case 'sip': {
      const uri = parseUri(to)
      if (uri === null || uri.scheme !== 'sip') return { kind: 'nowhere', reason: 'address cannot be dialled' }
      return toward({
        uri: writeUri(uri),
        target: targetOf(uri),
        to: writeUri({ ...uri, params: new Map(), headers: '' }),
        from: shown(callerId, world.advertisedHost),
      })
    }
    case 'number': {
      const trunk = world.trunks.find((each) => each.settings.numbers.includes(callerId)) ?? world.trunks[0]
      if (trunk === undefined) return { kind: 'nowhere', reason: 'no trunk' }
      const uri = parseUri(trunk.settings.uri)
      if (uri === null) return { kind: 'nowhere', reason: 'no trunk' }
      const ends = { to: `sip:${to}@${bracketed(uri.host)}`, from: shown(callerId, uri.host), credentials: credentialsOf(trunk.settings) }
      return toward({ uri: writeUri({ ...uri, user: to, headers: '' }), target: trunk.target, ...ends })
    }
  }
}

/** From a trunk's own address: no password is needed. Anybody else proves who they are, or is nobody. */
export type Claim = { readonly kind: 'trunk'; readonly trunks: readonly Trunk[] } | { readonly kind: 'must-prove' }

/** @param claimedName User of the credentials that came along, or null. */
export function claimOf(world: World, request: SipRequest, from: Hop, claimedName: string | null): Claim {
  const fromUser = userOf(parseNameAddr(headerValue(request, 'From') ?? '')?.uri)
  const isAgent = (name: string | null): boolean => name !== null && accountOfAgent(world, name) !== null
  if (claimedName !== null || isAgent(fromUser)) return { kind: 'must-prove' }
  const trunks = trunksAt(world, from)
  return trunks.length > 0 ? { kind: 'trunk', trunks } : { kind: 'must-prove' }
}

/** The trunks that call from there. */
export const trunksAt = (world: World, from: Hop): readonly Trunk[] => world.trunks.filter((trunk) => comesFrom(world, trunk, from))

/** Whoever may prove themselves by a password. Null: nobody has that name. */
export function passwordOf(world: World, username: string): string | null {
  const agent = world.accounts.flatMap((account) => account.agents).find((each) => each.name === username)
  return agent?.password ?? world.trunks.find((trunk) => trunk.settings.username === username)?.settings.password ?? null
}

export interface Caller {
  readonly accountId: AccountId
  readonly from: Address
  readonly dialled: Address
  readonly source: 'agent' | 'trunk'
}

/** The call that somebody with that proved name wants, or null when it leads nowhere (404). */
export function callByName(world: World, username: string, request: SipRequest): Caller | null {
  const account = accountOfAgent(world, username)
  if (account === null)
    return callByTrunk(
      world,
      world.trunks.filter((trunk) => trunk.settings.username === username),
      request,
    )
  const dialled = dialledBy(world, account, request)
  return dialled === null ? null : { accountId: account.id, from: clientAddress(username), dialled, source: 'agent' }
}

/** The call that one of these trunks brings, or null when none of them carries the number, or it is nobody's (404). */
export function callByTrunk(world: World, trunks: readonly Trunk[], request: SipRequest): Caller | null {
  for (const uri of [parseUri(request.uri), parseNameAddr(headerValue(request, 'To') ?? '')?.uri]) {
    const dialled = numberOf(world, uri)
    const account = dialled === null ? undefined : world.accounts.find((each) => each.numbers.includes(dialled))
    if (dialled === null || account === undefined) continue
    const isCarried = trunks.some(({ settings }) => settings.numbers.length === 0 || settings.numbers.includes(dialled))
    if (isCarried) return { accountId: account.id, from: callingParty(world, request), dialled, source: 'trunk' }
  }
  return null
}

/** The account whose phone has that name. */
export function accountOfAgent(world: World, name: string): EngineAccount | null {
  return world.accounts.find((account) => account.agents.some((agent) => agent.name === name)) ?? null
}

/** User part of a request's To: the name that a REGISTER is about. */
export const userOfTo = (request: SipRequest): string | null => userOf(parseNameAddr(headerValue(request, 'To') ?? '')?.uri)

const ANONYMOUS = 'sip:anonymous@anonymous.invalid' as Address
/** As the contract takes it: without what could start a parameter elsewhere. */
const SAFE_USER = /^(?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[2-7][0-9A-Ea-e]|%[2-6][Ff])+$/

function targetOf(uri: SipUri): Target {
  return { transport: uri.params.get('transport')?.toLowerCase() === 'tcp' ? 'tcp' : 'udp', host: uri.host, port: uri.port ?? SIP_PORT }
}

interface Ends {
  readonly uri: string
  readonly target: Target
  readonly to: string
  readonly from: string
  readonly credentials?: Credentials | null
}

const toward = ({ uri, target, to, from, credentials = null }: Ends): Route => ({
  kind: 'to',
  destination: {
    uri,
    target: { transport: target.transport, host: target.host, port: target.port },
    fromHeader: `<${from}>`,
    toHeader: `<${to}>`,
    credentials,
  },
})

const bracketed = (host: string): string => writeHostPort({ host, port: null })

/** The caller as a URI at `host`. */
function shown(callerId: Address, host: string): string {
  switch (addressKind(callerId)) {
    case 'number':
      return `sip:${callerId}@${bracketed(host)}`
    case 'client':
      return `sip:${escapeUser(clientName(callerId))}@${bracketed(host)}`
    case 'sip': {
      const uri = parseUri(callerId)
      return uri === null ? ANONYMOUS : writeUri({ ...uri, params: new Map(), headers: '' })
    }
  }
}

/** On a loopback address everybody is one host, so there the port must be the trunk's own. */
function comesFrom(world: World, trunk: Trunk, from: Hop): boolean {
  if (!world.trunkAddresses(trunk).includes(from.host)) return false
  const isLoopback = from.host === '::1' || from.host.startsWith('127.')
  return !isLoopback || from.port === trunk.target.port
}

/** A bare name is a colleague, digits are a number, a full address elsewhere is itself. */
function dialledBy(world: World, account: EngineAccount, request: SipRequest): Address | null {
  const uri = parseUri(request.uri)
  const user = userOf(uri)
  if (uri === null || user === null) return null
  if (uri.scheme === 'tel') return numberOf(world, uri)
  if (uri.scheme !== 'sip') return null
  if (!isOurs(world, uri)) return sipAddress(uri)
  if (account.agents.some((agent) => agent.name === user)) return clientAddress(user)
  return numberOf(world, uri)
}

function isOurs(world: World, uri: SipUri): boolean {
  return world.ownHosts.includes(uri.host.toLowerCase()) && (uri.port === null || uri.port === world.ownPort)
}

function sipAddress(uri: SipUri): Address | null {
  const isSafe = SAFE_USER.test(uri.user) && uri.user.length <= MAX_ADDRESS_CHARS && uri.host.length <= MAX_ADDRESS_CHARS
  return isSafe ? (`sip:${uri.user}@${writeHostPort(uri)}` as Address) : null
}

function numberOf(world: World, uri: SipUri | null | undefined): Address | null {
  const user = userOf(uri)
  const number = user === null ? null : world.parseNumber(user.split(';')[0] ?? '')
  return number !== null && addressKind(number) === 'number' ? number : null
}

/** Who calls, as a trunk tells it (RFC 3325 before From): a number where it is one. */
function callingParty(world: World, request: SipRequest): Address {
  const told = [headerValue(request, 'P-Asserted-Identity'), headerValue(request, 'From')]
  const uris = told.map((value) => (value === undefined ? null : (parseNameAddr(value)?.uri ?? null)))
  for (const uri of uris) {
    const number = numberOf(world, uri)
    if (number !== null) return number
  }
  const from = uris[1]
  return (from && from.scheme === 'sip' ? sipAddress(from) : null) ?? ANONYMOUS
}

function userOf(uri: SipUri | null | undefined): string | null {
  return uri === null || uri === undefined || uri.user === '' ? null : userText(uri)
}
