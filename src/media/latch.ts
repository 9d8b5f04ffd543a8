/**
 * Whose packets a port takes (symmetric RTP): the guard against strangers who find the port and inject or divert sound.
 *
 *   no terms yet    everything is refused
 *   open            the first plausible packet locks, wherever it comes from: a phone behind NAT is not where it says it is
 *   locked          only that source. The lock moves
 *                   - to the exact address that signalling named, whenever that speaks: nobody is nearer to being right;
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
  locked: Source | null
  /** When the locked source was last heard, ms. */
  heardAt: number
}

export const makeLatch = (): Latch => ({ named: null, locked: null, heardAt: 0 })

/** New terms. The lock is kept when they name the same address as before. */
export function aim(latch: Latch, named: Source): void {
  if (latch.named !== null && isSame(latch.named, named)) return
  latch.named = named
  latch.locked = null
}

/** Whether a plausible packet from there may come in; it may lock or move the latch. */
export function admit(latch: Latch, source: Source, now: number): boolean {
  const { named, locked } = latch
  if (named === null) return false
  if (locked === null || !isSame(locked, source)) {
    if (locked !== null && !isSame(named, source) && !isRebound(latch, locked, source, now)) return false
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

/** A NAT that forgot: same host, another port, after silence. A lock on the named address itself stays there. */
function isRebound(latch: Latch, locked: Source, source: Source, now: number): boolean {
  const isNamed = latch.named !== null && isSame(latch.named, locked)
  return locked.host === source.host && !isNamed && now - latch.heardAt > QUIET_MS
}
