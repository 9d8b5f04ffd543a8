/** Where a request comes from, as it is counted. */
import ipaddr from 'ipaddr.js'

/** The bits of an IPv6 address that one subscriber usually has to themselves (RFC 6177). */
const IPV6_BITS = 64
/** What a proxy says is not always an address. */
const MAX_CHARS = 64

/**
 * One name for whoever can be told apart: an IPv4 address, however it is written; the network of an IPv6 address, of which anybody has
 * as many as they like.
 */
export function sourceOf(address: string): string {
  if (!ipaddr.isValid(address)) return address.slice(0, MAX_CHARS)
  const parsed = ipaddr.process(address)
  return parsed instanceof ipaddr.IPv6
    ? `${ipaddr.IPv6.networkAddressFromCIDR(`${withoutZone(parsed)}/${IPV6_BITS}`)}/${IPV6_BITS}`
    : parsed.toString()
}

/** `fe80::1%eth0`: the zone is this machine's own word. */
const withoutZone = (address: ipaddr.IPv6): string => address.toNormalizedString().replace(/%.*$/, '')
