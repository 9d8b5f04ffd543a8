/**
 * Which addresses a callback may reach (contract C29). Customers name the URL, we dial it from inside the operator's
 * network: everything that is not plainly a public address is refused, unless the operator's allow-list names it.
 *
 * The check is made on the address that is dialled, when it is dialled: on every answer of the resolver, and on
 * addresses written into the URL, which never reach a resolver. An answer that mixes good and bad is refused whole.
 */
import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { buildConnector } from 'undici'

/** The address of a receiver was refused; nothing has been sent. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

type Block = readonly [ipaddr.IPv4 | ipaddr.IPv6, number]

/** One entry of the allow-list. */
export interface AllowRule {
  readonly block: Block
  /** Null: every port. */
  readonly port: number | null
}

export type AddressGuard = (address: string, port: number) => boolean

const RULE = /^(?:\[(?<six>[0-9a-f:.]+)(?:\/(?<sixBits>\d{1,3}))?\]|(?<four>[0-9.]+)(?:\/(?<fourBits>\d{1,2}))?)(?::(?<port>\d{1,5}))?$/i
const BARE_SIX = /^(?<six>[0-9a-f:.]*:[0-9a-f:.]*)(?:\/(?<sixBits>\d{1,3}))?$/i
const MAX_PORT = 65535

/** Where IPv6 that is routed lives; what lies outside is an older or a special notation. */
const GLOBAL_UNICAST: Block = ipaddr.parseCIDR('2000::/3')
/** Special addresses inside ranges that are public otherwise. */
const SPECIAL: readonly Block[] = [
  ipaddr.parseCIDR('168.63.129.16/32'), // A cloud's metadata and control address.
  ipaddr.parseCIDR('3fff::/20'), // Documentation (RFC 9637).
  ipaddr.parseCIDR('2001:0::/23'), // IETF protocol assignments, Teredo among them.
]

/**
 * `10.0.0.0/8`, `127.0.0.1:8080`, `fd00::/8`, `[::1]:443`, `[fd00::/8]:443`.
 * @returns Null for anything else.
 */
export function parseAllowRule(text: string): AllowRule | null {
  const { six, sixBits, four, fourBits, port } = (RULE.exec(text) ?? BARE_SIX.exec(text))?.groups ?? {}
  const address = six ?? four
  if (address === undefined || isIP(address) === 0) return null
  const parsed = ipaddr.parse(address)
  const most = parsed.kind() === 'ipv4' ? 32 : 128
  const bits = Number(sixBits ?? fourBits ?? most)
  const portNumber = port === undefined ? null : Number(port)
  if (bits > most || (portNumber !== null && (portNumber < 1 || portNumber > MAX_PORT))) return null
  return { block: [parsed, bits], port: portNumber }
}

/** @throws {Error} for an entry that `parseAllowRule` does not know. */
export function makeAddressGuard(allow: readonly string[]): AddressGuard {
  const rules = allow.map((text) => {
    const rule = parseAllowRule(text)
    if (rule === null) throw new Error(`callbacks.allow: "${text}" is neither an address nor a block like 10.0.0.0/8 or [fd00::/8]:443`)
    return rule
  })
  return (text, port) => {
    if (isIP(text) === 0) return false
    const address = ipaddr.parse(text)
    return isPublic(address) || rules.some((rule) => (rule.port === null || rule.port === port) && within(address, rule.block))
  }
}

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== 'unicast' || SPECIAL.some((block) => within(address, block))) return false
  return address.kind() === 'ipv4' || within(address, GLOBAL_UNICAST)
}

const within = (address: ipaddr.IPv4 | ipaddr.IPv6, [base, bits]: Block): boolean => address.kind() === base.kind() && address.match(base, bits)

export type Lookup = (
  hostname: string,
  options: LookupOptions & { all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

export interface GuardedConnectorOptions {
  readonly guard: AddressGuard
  readonly timeoutMs: number
  /** The resolver; the system's by default. */
  readonly lookup?: Lookup
}

/** For undici's `connect`. Fails with AddressRefused before a packet leaves. */
export function guardedConnector({ guard, timeoutMs, lookup = systemLookup }: GuardedConnectorOptions): buildConnector.connector {
  return (options, done) => {
    const port = Number(options.port) || (options.protocol === 'https:' ? 443 : 80)
    const literal = options.hostname.replace(/^\[|\]$/g, '')
    if (isIP(literal) !== 0 && !guard(literal, port)) {
      return done(new AddressRefused(`${literal} port ${port} is not a public address, and callbacks.allow does not name it`), null)
    }
    const connect = buildConnector({ timeout: timeoutMs, allowH2: false, lookup: guardedLookup({ guard, port, lookup }) })
    connect(options, done)
  }
}

/** The resolver, but every answer is looked at before anybody dials it. */
function guardedLookup({ guard, port, lookup }: { guard: AddressGuard; port: number; lookup: Lookup }): LookupFunction {
  return (hostname, options, done) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, '')
      const refused = addresses.find(({ address }) => !guard(address, port))
      const first = addresses[0]
      if (refused)
        return done(
          new AddressRefused(`${hostname} is at ${refused.address}, which is not a public address, and callbacks.allow does not name it`),
          '',
        )
      if (!first) return done(Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' }), '')
      if (options.all) done(null, addresses)
      else done(null, first.address, first.family)
    })
  }
}
