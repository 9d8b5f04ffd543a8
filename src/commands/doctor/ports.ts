/**
 * Whether the server can have its ports, here and now. A port that is taken is asked who has it: an Earshot that answers is taken
 * for the one that runs by this configuration.
 */
import { createSocket } from 'node:dgram'
import { readFile } from 'node:fs/promises'
import { createServer, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { Config } from '../../config.ts'
import { isWildcard } from '../../config-schema.ts'
import { messageOf } from '../desk.ts'
import { type Check, ok, problem, warning } from './check.ts'
import { askSip } from './trunks.ts'

/** Pairs of the RTP range that are tried, spread evenly. */
const RTP_SAMPLES = 40
/** A range for fewer legs is probably a slip. */
const FEW_LEGS = 20
/** Legs that a server takes at most (`MAX_LEGS` of the engine). */
const MOST_LEGS = 4_000
/** Sockets of a leg, and descriptors of everything else: database, HTTP, SIP, files. */
const FILES_PER_LEG = 2
const OTHER_FILES = 500
const ASK_MS = 1_000

/** Null: the port can be had. Else the system's code for why not. */
type Refusal = string | null

export async function portChecks(config: Config): Promise<readonly Check[]> {
  const [http, metrics, udp, tcp, rtp, files] = await Promise.all([
    httpCheck('http', config.http, '/readyz', /^(?:ready|draining)\b/),
    config.metrics && httpCheck('metrics', config.metrics, '/metrics', /^# HELP earshot_/m),
    sipCheck(config, 'udp'),
    sipCheck(config, 'tcp'),
    rtpCheck(config),
    openFilesCheck(config),
  ])
  return [http, ...(metrics ? [metrics] : []), udp, tcp, rtp, files, advertiseCheck(config)]
}

/** @param ours What an Earshot answers at `path`. */
async function httpCheck(section: 'http' | 'metrics', place: Place, path: string, ours: RegExp): Promise<Check> {
  const name = `${section} port`
  const refusal = await tryTcp(place.host, place.port)
  if (refusal === 'EADDRINUSE' && ours.test(await answerAt(place, path))) return ok(name, `${at(place)} is held by a running Earshot`)
  return portCheck(name, place, refusal, section)
}

async function sipCheck({ sip }: Config, transport: 'udp' | 'tcp'): Promise<Check> {
  const name = `sip ${transport} port`
  const refusal = transport === 'udp' ? await tryUdp(sip.host, sip.port) : await tryTcp(sip.host, sip.port)
  if (refusal === 'EADDRINUSE') {
    const answer = await askSip({ host: localOf(sip.host), port: sip.port, transport }, { from: localOf(sip.host), limitMs: ASK_MS })
    if (answer.kind === 'answered' && /^earshot\b/i.test(answer.server)) return ok(name, `${at(sip)} is held by a running Earshot`)
  }
  return portCheck(name, sip, refusal, 'sip')
}

function portCheck(name: string, place: Place, refusal: Refusal, section: 'http' | 'metrics' | 'sip'): Check {
  switch (refusal) {
    case null:
      return ok(name, place.port === 0 ? `any free port of ${place.host}` : `${at(place)} is free`)
    case 'EADDRINUSE':
      return problem(name, `${at(place)} is in use by another program`, `End that program (ss -lptun shows it), or write another ${section}.port.`)
    case 'EACCES':
      return problem(name, `${at(place)} is not allowed for this user`, `Write a ${section}.port of 1024 or above, or do this as the server's user.`)
    default:
      return problem(name, `${at(place)} cannot be bound (${refusal})`, `Write an address of this machine as ${section}.host.`)
  }
}

async function rtpCheck({ rtp }: Config): Promise<Check> {
  const name = 'rtp ports'
  const first = rtp.portMin + (rtp.portMin % 2)
  const legs = Math.floor((rtp.portMax - first + 1) / 2)
  const range = `${rtp.host} ${rtp.portMin}-${rtp.portMax}`
  const samples = [...new Set(Array.from({ length: RTP_SAMPLES }, (_, index) => first + 2 * Math.floor((index * legs) / RTP_SAMPLES)))]
  const refusals = await Promise.all(samples.flatMap((port) => [tryUdp(rtp.host, port), tryUdp(rtp.host, port + 1)]))
  const other = refusals.find((refusal) => refusal !== null && refusal !== 'EADDRINUSE')
  if (other) return problem(name, `${range} cannot be bound (${other})`, 'Write an address of this machine as rtp.host.')
  const taken = refusals.filter((refusal) => refusal !== null).length
  if (taken > refusals.length / 2)
    return warning(
      name,
      `${taken} of ${refusals.length} ports tried in ${range} are taken`,
      'If no busy Earshot has them, move rtp.portMin and rtp.portMax.',
    )
  if (legs < FEW_LEGS) return warning(name, `${range} has room for ${legs} legs at once`, 'A leg takes two ports: widen rtp.portMin to rtp.portMax.')
  return ok(name, `${range}, room for ${legs} legs at once`)
}

async function openFilesCheck({ rtp }: Config): Promise<Check> {
  const name = 'open files'
  const legs = Math.min(MOST_LEGS, Math.floor((rtp.portMax - rtp.portMin + 1) / 2))
  const wanted = legs * FILES_PER_LEG + OTHER_FILES
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  // Node raises its soft limit to the hard one when it starts.
  const allowed = /^Max open files\s+\d+\s+(\d+|unlimited)/m.exec(limits)?.[1]
  if (allowed === undefined) return ok(name, 'this system does not say how many a process may have')
  if (allowed === 'unlimited' || Number(allowed) >= wanted) return ok(name, `${allowed} allowed, ${wanted} are enough for ${legs} legs`)
  const room = Math.max(0, Math.floor((Number(allowed) - OTHER_FILES) / FILES_PER_LEG))
  return warning(
    name,
    `${allowed} allowed here: room for ${room} legs instead of ${legs}`,
    `Allow ${wanted}: LimitNOFILE= in the systemd unit, or ulimit -Hn.`,
  )
}

function advertiseCheck({ sip, rtp }: Config): Check {
  const name = 'advertised address'
  const own = Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map((each) => each.address))
  const said = [...new Set([sip.advertise, rtp.advertise])]
  const foreign = said.find((address) => !own.includes(address) && !isLoopback(address))
  if (foreign !== undefined) {
    return warning(
      name,
      `${foreign} is not an address of this machine`,
      `If it is the NAT's, forward port ${sip.port} (UDP and TCP) and ${rtp.portMin}-${rtp.portMax} (UDP) to here with the same numbers; else correct sip.advertise.`,
    )
  }
  if (said.some(isLoopback))
    return warning(
      name,
      `${said.join(', ')}: only phones on this machine reach it`,
      'Good for a try; for others write this machine’s address as sip.host.',
    )
  return ok(name, `${said.join(', ')} is this machine's`)
}

interface Place {
  readonly host: string
  readonly port: number
}

const at = ({ host, port }: Place): string => `${host} port ${port}`
const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1'
/** Where a server that listens on every address is asked. */
const localOf = (host: string): string => (isWildcard(host) ? (isIPv6(host) ? '::1' : '127.0.0.1') : host)

/** Empty when nobody answers. */
async function answerAt({ host, port }: Place, path: string): Promise<string> {
  const local = localOf(host)
  try {
    const response = await fetch(`http://${isIPv6(local) ? `[${local}]` : local}:${port}${path}`, { signal: AbortSignal.timeout(ASK_MS) })
    return await response.text()
  } catch {
    return ''
  }
}

function tryTcp(host: string, port: number): Promise<Refusal> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', (error) => resolve(codeOf(error)))
    server.listen({ host, port }, () => server.close(() => resolve(null)))
  })
}

function tryUdp(host: string, port: number): Promise<Refusal> {
  const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', ipv6Only: isIPv6(host) })
  return new Promise((resolve) => {
    socket.once('error', (error) => {
      socket.close()
      resolve(codeOf(error))
    })
    socket.bind(port, host, () => socket.close(() => resolve(null)))
  })
}

const codeOf = (error: Error): string => ('code' in error ? String(error.code) : messageOf(error))
