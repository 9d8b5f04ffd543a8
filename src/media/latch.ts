/**
 * Whose packets a port takes (symmetric RTP): the guard against strangers who find the port and inject or divert sound.
 *
 *   no terms yet    everything is refused
 *   open            the first plausible packet locks, wherever it comes from: a phone behind NAT is not where it says it is
 *   locked          only that source. The lock moves
 *                   - to a source that is nearer to signalling, whenever that speaks: the exact address that was named comes
 *                     before any on the named host or the host that the SIP came from, and these before everybody else, so
 *                     that who speaks first on a port that is not theirs cannot keep the phone out (RTP bleed, RFC 7362);
 *                   - to another port of the locked host after QUIET_MS without a packet: a NAT that forgot its binding;
 *                   - to anybody only after signalling named another address (`aim`).
 */

/** How long the locked source must be silent before its host may move to another port. */
export const QUIET_MS = 3000

export interface Source {
  readonly host: string
  readonly port: number
}

export interface Latch {
  /** What signalling named; null before any terms. */
  named: Source | null
  /** Where the signalling itself came from: a phone behind NAT sends its sound from there as well. Null when unknown. */
  signallingHost: string | null
  locked: Source | null
  /** When the locked source was last heard, ms. */
  heardAt: number
}

export const makeLatch = (): Latch => ({ named: null, signallingHost: null, locked: null, heardAt: 0 })

/** New terms. The lock is kept when they name the same address as before. */
export function aim(latch: Latch, named: Source, signallingHost: string | null): void {
  latch.signallingHost = signallingHost
  if (latch.named !== null && isSame(latch.named, named)) return
  latch.named = named
  latch.locked = null
}

/** Whether a plausible packet from there may come in; it may lock or move the latch. */
export function admit(latch: Latch, source: Source, now: number): boolean {
  const { named, locked } = latch
  if (named === null) return false
  if (locked === null || !isSame(locked, source)) {
    const isNearer = locked === null || nearness(latch, source) > nearness(latch, locked)
    if (!isNearer && !isRebound(latch, locked, source, now)) return false
    latch.locked = { host: source.host, port: source.port }
  }
  latch.heardAt = now
  return true
}

/** Where to send: the lock, or before it what signalling named. Null when nowhere. */
export const targetOf = (latch: Latch): Source | null => latch.locked ?? latch.named

/** False for the "no address" of a phone on hold (RFC 3264 §8.4), and for what no datagram can be sent to. */
export const isReachable = ({ host, port }: Source): boolean => port > 0 && port < 65536 && host !== '0.0.0.0' && host !== '::'

export const isSame = (a: Source, b: Source): boolean => a.port === b.port && a.host === b.host

/** How near a source is to what signalling said: 2 the very address, 1 one of its hosts, 0 anywhere. */
function nearness({ named, signallingHost }: Latch, source: Source): number {
  if (named !== null && isSame(named, source)) return 2
  return source.host === named?.host || source.host === signallingHost ? 1 : 0
}

/** A NAT that forgot: same host, another port, after silence. A lock on the named address itself stays there. */
function isRebound(latch: Latch, locked: Source, source: Source, now: number): boolean {
  const isNamed = latch.named !== null && isSame(latch.named, locked)
  return locked.host === source.host && !isNamed && now - latch.heardAt > QUIET_MS
}
