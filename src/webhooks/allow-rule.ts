/** The operator's allow-list for callbacks (contract C29): its entries as they are written, and as they are compared. */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** A network: its address, and how many of the leading bits count. */
export type Block = readonly [ipaddr.IPv4 | ipaddr.IPv6, number]

/** One entry of the allow-list. */
export interface AllowRule {
  readonly block: Block
  /** Null: every port. */
  readonly port: number | null
}

const RULE = /^(?:\[(?<six>[0-9a-f:.]+)(?:\/(?<sixBits>\d{1,3}))?\]|(?<four>[0-9.]+)(?:\/(?<fourBits>\d{1,2}))?)(?::(?<port>\d{1,5}))?$/i
const BARE_SIX = /^(?<six>[0-9a-f:.]*:[0-9a-f:.]*)(?:\/(?<sixBits>\d{1,3}))?$/i
const MAX_PORT = 65_535

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

/** Whether the address lies in the network; never across the two families. */
export const within = (address: ipaddr.IPv4 | ipaddr.IPv6, [base, bits]: Block): boolean =>
  address.kind() === base.kind() && address.match(base, bits)
