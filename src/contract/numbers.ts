/**
 * Whom to call, as callers write it and as they read it back (contract C7).
 *
 *   in    `+919876543210` `919876543210` `09876543210` `9876543210` `08040402400`   one Indian subscriber
 *         `+14155550123`                                                            any other country: only with `+`
 *         `sip:user@host[:port]`   `client:name`
 *   out   `0` + national for Indian numbers, E.164 for others, URIs as given
 *
 * An Indian number is ten digits that do not begin with 0: a mobile, or a landline with its STD code.
 */
import { type Address, addressKind } from '../domain/address.ts'

/** Longest address accepted, characters: whatever it names has to fit a SIP request line. */
export const MAX_ADDRESS_CHARS = 255
/** Longest user part of a `sip:` address, characters. */
const MAX_SIP_USER_CHARS = 128
const MAX_HOST_CHARS = 253
const MAX_PORT = 65_535

const INDIA = /^(?:\+91|91|0)?([1-9]\d{9})$/
const INDIA_CANONICAL = /^\+91([1-9]\d{9})$/
const E164 = /^\+[1-9]\d{6,14}$/
const CLIENT = /^client:([A-Za-z0-9._-]{1,64})$/i
/** RFC 3261 §25.1 `user`, without `;` `?` `/` (they start parameters elsewhere) and without escaped control characters. */
const SIP = /^sip:((?:[A-Za-z0-9._~!*'()&=+$,-]|%[2-7][0-9A-Ea-e]|%[2-6][Ff])+)@(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?$/i
/** Every accepted spelling, as a pattern for those who describe it; a `sip:` host has to be one besides. */
export const ADDRESS_PATTERN = `^(?:${[INDIA.source, '\\+(?:[1-8]\\d|9[02-9])\\d{5,13}', CLIENT.source, SIP.source].map((source) => source.replace(/^\^|\$$/g, '')).join('|')})$`
const HOST_LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/

/**
 * What a caller wrote, in the house's one spelling, or null when it is none of the accepted ones.
 *
 * `sip:` addresses are taken without parameters and headers: those could send the call elsewhere than the host that
 * the dial rules looked at. Nothing that could end a header line passes.
 */
export function addressIn(written: string): Address | null {
  if (written.length > MAX_ADDRESS_CHARS) return null
  const text = written.trim()
  const national = INDIA.exec(text)?.[1]
  if (national !== undefined) return `+91${national}` as Address
  if (E164.test(text)) return text.startsWith('+91') ? null : (text as Address)
  // A form body that was not escaped turns `+1415…` into ` 1415…`; the blank tells that a plus was meant.
  if (written.startsWith(' ') && /^\d/.test(text)) return addressIn(`+${text}`)
  const client = CLIENT.exec(text)?.[1]
  if (client !== undefined) return `client:${client}` as Address
  return sipAddress(text)
}

/** How an address is written in answers and callbacks. */
export function addressOut(address: Address): string {
  switch (addressKind(address)) {
    case 'number':
      return address.replace(INDIA_CANONICAL, '0$1')
    case 'sip':
    case 'client':
      return address
  }
}

function sipAddress(text: string): Address | null {
  const match = SIP.exec(text)
  if (!match) return null
  const [, user = '', host = '', port] = match
  if (user.length > MAX_SIP_USER_CHARS || !isHost(host)) return null
  if (port !== undefined && (Number(port) < 1 || Number(port) > MAX_PORT)) return null
  return `sip:${text.slice('sip:'.length)}` as Address
}

function isHost(host: string): boolean {
  if (host.startsWith('[')) return URL.canParse(`http://${host}/`)
  return host.length <= MAX_HOST_CHARS && host.split('.').every((label) => HOST_LABEL.test(label))
}
