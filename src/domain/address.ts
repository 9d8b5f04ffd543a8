/**
 * Whom a leg reaches, in one canonical spelling per kind:
 *
 *   number   `+919876543210`        E.164, 7 to 15 digits
 *   sip      `sip:user@host[:port]` dialled directly
 *   client   `client:name`          a phone (or browser) registered under that name
 *
 * `contract/` turns what callers write into this; nothing else in the house knows other spellings.
 */
export type Address = string & { readonly brand: 'Address' }
export type AddressKind = 'number' | 'sip' | 'client'

/** The kind is in the first characters; an `Address` is always one of the three. */
export function addressKind(address: Address): AddressKind {
  if (address.startsWith('+')) return 'number'
  return address.startsWith('client:') ? 'client' : 'sip'
}

/** The name of a `client:` address; the whole address for any other. */
export const clientName = (address: Address): string => address.replace(/^client:/, '')

/** @param name A registered phone's name: `[A-Za-z0-9._-]`, at most 64 characters. */
export const clientAddress = (name: string): Address => `client:${name}` as Address
