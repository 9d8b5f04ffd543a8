/** Which calls of an account are asked for, and a page of the answer (contract C31). A filter that is null lets every call pass. */
import type { Address } from './address.ts'
import type { Call } from './call.ts'
import type { CallId } from './ids.ts'
import type { EndCause } from './leg.ts'

/** Both ends included; null is open. */
export interface Bounds<T> {
  readonly min: T | null
  readonly max: T | null
}

/** Between two calls in the order of creation: just after or just before the one that is named. It need not exist any more. */
export interface PageStart {
  readonly side: 'after' | 'before'
  /** Epoch ms. */
  readonly createdAt: number
  readonly id: CallId
}

export interface CallQuery {
  readonly ids: readonly CallId[] | null
  /** Epoch ms, included. */
  readonly createdFrom: number | null
  /** Epoch ms, not included any more. */
  readonly createdBefore: number | null
  readonly from: readonly Address[] | null
  readonly to: readonly Address[] | null
  /** The account's own number in the call. */
  readonly ownNumbers: readonly Address[] | null
  /** `in-progress` is every call that has not ended. */
  readonly statuses: readonly ('in-progress' | EndCause)[] | null
  /** Whole seconds as a call shows them; a call that has not ended has none. */
  readonly durationS: Bounds<number> | null
  /** Decimals. A call that is not rated, or has not ended, has no price and passes no bound. */
  readonly price: Bounds<string> | null
  readonly directions: readonly Call['direction'][] | null
  /** By creation, then by id. */
  readonly order: 'asc' | 'desc'
  /** 1 to 100. */
  readonly pageSize: number
  /** Null is the first page. `before` and `after` mean places in the order that was asked for. */
  readonly start: PageStart | null
}

export interface CallPage {
  /** In the order that was asked for. */
  readonly calls: readonly Call[]
  /** How many calls pass the filters, on all pages together. */
  readonly total: number
  /** There are calls before the first one of this page, and after its last one. */
  readonly hasPrevious: boolean
  readonly hasNext: boolean
}
