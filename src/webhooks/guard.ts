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
import { type Block, parseAllowRule, within } from './allow-rule.ts'

/** The address of a receiver was refused; nothing has been sent. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

/** Whether a callback may be sent to that address (an IP literal) and port. */
export type AddressGuard = (address: string, port: number) => boolean

/** Where IPv6 that is routed lives; what lies outside is an older or a special notation. */
const GLOBAL_UNICAST: Block = ipaddr.parseCIDR('2000::/3')
/** Special addresses inside ranges that are public otherwise. */
const SPECIAL: readonly Block[] = [
  ipaddr.parseCIDR('168.63.129.16/32'), // A cloud's metadata and control address.
  ipaddr.parseCIDR('3fff::/20'), // Documentation (RFC 9637).
  ipaddr.parseCIDR('2001:0::/23'), // IETF protocol assignments, Teredo among them.
]

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
