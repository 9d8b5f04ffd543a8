/** Names of things. Opaque: nothing in the house looks inside an id (contract C6). */
export type AccountId = string & { readonly brand: 'AccountId' }
export type CallId = string & { readonly brand: 'CallId' }
export type LegId = string & { readonly brand: 'LegId' }
