/** Calls: make one, look at one, walk through many. */
import { listed, type Request, type RequestOptions } from '../request.ts'
import type { ActiveLeg, Call, CallFilter, CallPage, CallWithDetails, ConnectParameters, LegRecord, Range } from '../resources.ts'
import { sidPath } from '../sids.ts'
import { itemsOf, oneOrMore, pagesOf, querySpelled } from './pages.ts'

export interface Calls {
  /**
   * Dials `From`, and `To` once `From` has picked up. Answers before anybody did.
   * @throws {EarshotError} invalid-parameter · destination-not-allowed · idempotency-mismatch · no-rate · no-balance · day-spend-reached · legs-reached ·
   * leg-starts-reached, and whatever a request may meet
   */
  connect(parameters: ConnectParameters, options?: RequestOptions): Promise<Call>
  /** A call, live or ended. With `details` also how long the two parties were connected. @throws {EarshotError} call-not-found */
  get(callSid: string, options: RequestOptions & { readonly details: true }): Promise<CallWithDetails>
  get(callSid: string, options?: RequestOptions & { readonly details?: boolean | undefined }): Promise<Call>
  /** All calls that pass the filter, one after the other; pages are fetched as you go. @throws {EarshotError} invalid-parameter */
  list(filter?: CallFilter, options?: RequestOptions): AsyncIterable<Call>
  /** The same, page by page, each with the number of calls on all of them. @throws {EarshotError} invalid-parameter */
  pages(filter?: CallFilter, options?: RequestOptions): AsyncIterable<CallPage>
  /** All legs of a call in order of creation, ended ones included. @throws {EarshotError} call-not-found */
  legs(callSid: string, options?: RequestOptions): Promise<readonly LegRecord[]>
  /** The live legs of a live call in order of creation. @throws {EarshotError} call-not-in-progress */
  activeLegs(callSid: string, options?: RequestOptions): Promise<readonly ActiveLeg[]>
}

export function makeCalls(request: Request): Calls {
  return {
    connect: async (parameters, options) =>
      (await request({ method: 'POST', path: '/Calls/connect', fields: parameters, member: 'Call' }, options)) as Call,
    // With `details` the server answers with more of the same.
    get: async (callSid: string, options: RequestOptions & { readonly details?: boolean | undefined } = {}) =>
      (await request(
        { method: 'GET', path: sidPath({ callSid }), query: options.details ? 'details=true' : '', member: 'Call' },
        options,
      )) as CallWithDetails,
    list: (filter, options) => itemsOf(pages(request, filter, options), ({ Calls: calls }) => calls),
    pages: (filter, options) => pages(request, filter, options),
    legs: async (callSid, options) =>
      listed<LegRecord>(await request({ method: 'GET', path: `${sidPath({ callSid })}/Legs`, member: 'legs' }, options)),
    activeLegs: async (callSid, options) =>
      listed<ActiveLeg>(await request({ method: 'GET', path: `${sidPath({ callSid })}/ActiveLegs`, member: 'Legs' }, options)),
  }
}

const pages = (request: Request, filter: CallFilter = {}, options?: RequestOptions): AsyncGenerator<CallPage> =>
  pagesOf(request, { path: '/Calls', query: queryOf(filter), list: 'Calls' }, options)

/** A filter as a query string, in the contract's spelling. */
export function queryOf(filter: CallFilter): string {
  const { Sid, DateCreated, To, From, PhoneNumber, Status, Duration, Price, Direction, PageSize, SortBy } = filter
  return querySpelled([
    ['Sid', oneOrMore(Sid)],
    ['DateCreated', bounds(DateCreated)],
    ['To', oneOrMore(To)],
    ['From', oneOrMore(From)],
    ['PhoneNumber', oneOrMore(PhoneNumber)],
    ['Status', oneOrMore(Status)],
    ['Duration', bounds(Duration, 's')],
    ['Price', bounds(Price)],
    ['Direction', oneOrMore(Direction)],
    ['PageSize', PageSize],
    ['SortBy', SortBy],
  ])
}

function bounds(range: Range<string | number> | undefined, unit = ''): string {
  return Object.entries(range ?? {})
    .filter(([, value]) => value !== undefined)
    .map(([operator, value]) => `${operator}:${value}${unit}`)
    .join(';')
}
