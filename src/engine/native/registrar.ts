/**
 * Which phone is where: the bindings of the registrar (RFC 3261 §10.3), in memory and bounded.
 *
 * One rule: a phone is reached where its REGISTER came from, whatever its Contact says, since only that path is known to
 * pass its NAT. The Contact is kept for the Request-URI. A REGISTER is obeyed whole or not at all.
 */
import { contacts, cseqOf, expirySeconds } from '../../sip/header.ts'
import { headerValue, type SipRequest } from '../../sip/message.ts'
import { type NameAddr, sameUri, type SipUri, writeUri } from '../../sip/uri.ts'
import type { ExtraHeader, Hop } from '../../sip/user-agent.ts'

/** Shortest and longest life of a binding, and what a phone gets that asks for nothing, s. */
export const MIN_EXPIRES_S = 60
export const MAX_EXPIRES_S = 7200
export const DEFAULT_EXPIRES_S = 3600
/** Phones under one name; one more makes the one that was heard of longest ago give way. */
export const MAX_BINDINGS = 8

export interface Binding {
  readonly name: string
  /** What the phone calls itself; the Request-URI of requests to it. */
  readonly contact: SipUri
  /** Where it is reached. */
  readonly hop: Hop
  readonly callId: string
  readonly cseq: number
  /** Epoch ms. */
  readonly refreshedAt: number
  readonly expiresAt: number
}

export type RegisterResult =
  /** Answer 200; `headers` lists every binding of the name. */
  | { readonly kind: 'registered'; readonly headers: readonly ExtraHeader[] }
  | { readonly kind: 'refused'; readonly status: 400 | 423; readonly headers: readonly ExtraHeader[] }

export interface Registrar {
  /** Obeys the REGISTER of a phone that has proved to be `name`. */
  register(request: SipRequest, name: string, from: Hop, now: number): RegisterResult
  /** Where that name is, newest first. */
  bindings(name: string, now: number): readonly Binding[]
  all(now: number): readonly Binding[]
  /** The connection is closed: who was reached over it is not reached any more. */
  forgetFlow(hop: Hop): void
}

export const sameHop = (left: Hop, right: Hop): boolean => left.transport === right.transport && left.host === right.host && left.port === right.port

export function makeRegistrar(): Registrar {
  const byName = new Map<string, readonly Binding[]>()

  function current(name: string, now: number): readonly Binding[] {
    const alive = (byName.get(name) ?? []).filter((binding) => binding.expiresAt > now)
    keep(name, alive)
    return alive
  }
  function keep(name: string, bindings: readonly Binding[]): void {
    if (bindings.length === 0) byName.delete(name)
    else byName.set(name, bindings)
  }

  return {
    register(request, name, from, now) {
      const before = current(name, now)
      const asked = applied(before, request, name, from, now)
      if (asked.kind === 'refused') return asked
      keep(name, asked.bindings)
      return { kind: 'registered', headers: asked.bindings.map((binding) => contactHeader(binding, now)) }
    },
    bindings: current,
    all: (now) => [...byName.keys()].flatMap((name) => current(name, now)),
    forgetFlow(hop) {
      for (const [name, bindings] of [...byName])
        keep(
          name,
          bindings.filter((binding) => !sameHop(binding.hop, hop)),
        )
    },
  }
}

type Refused = Extract<RegisterResult, { readonly kind: 'refused' }>
type Asked = { readonly kind: 'asked'; readonly bindings: readonly Binding[] } | Refused

/** The bindings as the request wants them, newest first, or why it cannot be obeyed. */
function applied(before: readonly Binding[], request: SipRequest, name: string, from: Hop, now: number): Asked {
  const callId = headerValue(request, 'Call-ID') ?? ''
  const cseq = cseqOf(request)?.sequence ?? 0
  const isLate = (binding: Binding): boolean => binding.callId === callId && cseq <= binding.cseq
  const wanted = contacts(request)
  if (wanted === '*') {
    if (expirySeconds(request, null) !== 0 || before.some(isLate)) return refused(400)
    return { kind: 'asked', bindings: [] }
  }
  let after = before
  for (const contact of wanted) {
    if (contact.uri.scheme !== 'sip') return refused(400)
    const known = before.find((binding) => sameUri(binding.contact, contact.uri))
    if (known !== undefined && isLate(known)) return refused(400)
    const seconds = lifetime(request, contact)
    if (seconds > 0 && seconds < MIN_EXPIRES_S) return refused(423, [{ name: 'Min-Expires', value: String(MIN_EXPIRES_S) }])
    after = after.filter((binding) => !sameUri(binding.contact, contact.uri))
    if (seconds === 0) continue
    const binding: Binding = {
      name,
      contact: contact.uri,
      hop: from,
      callId,
      cseq,
      refreshedAt: now,
      expiresAt: now + Math.min(seconds, MAX_EXPIRES_S) * 1000,
    }
    after = [binding, ...after].slice(0, MAX_BINDINGS)
  }
  return { kind: 'asked', bindings: after }
}

const lifetime = (request: SipRequest, contact: NameAddr): number => expirySeconds(request, contact) ?? DEFAULT_EXPIRES_S

const refused = (status: 400 | 423, headers: readonly ExtraHeader[] = []): Refused => ({ kind: 'refused', status, headers })

function contactHeader(binding: Binding, now: number): ExtraHeader {
  return { name: 'Contact', value: `<${writeUri(binding.contact)}>;expires=${Math.ceil((binding.expiresAt - now) / 1000)}` }
}
