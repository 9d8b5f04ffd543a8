/** Names of things. Opaque: nothing in the house looks inside an id (contract C6). */
export type AccountId = string & { readonly brand: 'AccountId' }
export type CallId = string & { readonly brand: 'CallId' }
export type LegId = string & { readonly brand: 'LegId' }
/** Something that is played in a call: a mouth without a phone. Unique within its call. */
export type SoundId = string & { readonly brand: 'SoundId' }
/** One channel of a call's recording: an ear without a phone. Unique within its call. */
export type TapeId = string & { readonly brand: 'TapeId' }
/** An API key's public half, the user of HTTP Basic. */
export type KeyId = string & { readonly brand: 'KeyId' }
