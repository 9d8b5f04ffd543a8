/** Calls: make one, look at one, walk through many. */
import { listed, type Request, type RequestOptions, unexpectedAnswer } from '../request.ts'
import type { ActiveLeg, Call, CallFilter, CallPage, CallWithDetails, ConnectParameters, LegRecord, Range } from '../resources.ts'
import { sidPath } from '../sids.ts'

export interface Calls {
  /**
   * Dials `From`, and `To` once `From` has picked up. Answers before anybody did.
   * @throws {EarshotError} invalid-parameter · destination-not-allowed · idempotency-mismatch, and whatever a request may meet
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
    list: (filter, options) => callsOf(pages(request, filter, options)),
    pages: (filter, options) => pages(request, filter, options),
    legs: async (callSid, options) =>
      listed<LegRecord>(await request({ method: 'GET', path: `${sidPath({ callSid })}/Legs`, member: 'legs' }, options)),
    activeLegs: async (callSid, options) =>
      listed<ActiveLeg>(await request({ method: 'GET', path: `${sidPath({ callSid })}/ActiveLegs`, member: 'Legs' }, options)),
  }
}

async function* callsOf(all: AsyncIterable<CallPage>): AsyncGenerator<Call> {
  for await (const page of all) yield* page.Calls
}

/**
 * The address of the next page is the server's, its place is ours: only its question is taken over, so that no answer can send
 * the token elsewhere, and a path in front of the API is kept.
 */
async function* pages(request: Request, filter: CallFilter = {}, options?: RequestOptions): AsyncGenerator<CallPage> {
  for (let query: string | null = queryOf(filter); query !== null; ) {
    const page = pageIn(await request({ method: 'GET', path: '/Calls', query, member: null }, options))
    yield page
    const next: string | null = page.Metadata.NextPageUri
    const question: string | null = next === null ? null : next.slice(next.indexOf('?') + 1)
    // A page that names itself as the next one would never end.
    if (question === query) throw unexpectedAnswer(200)
    query = question
  }
}

function pageIn(content: unknown): CallPage {
  const page = content as Partial<CallPage>
  if (typeof page.Metadata !== 'object' || !Array.isArray(page.Calls)) throw unexpectedAnswer(200)
  return page as CallPage
}

/** A filter as a query string, in the contract's spelling. */
export function queryOf(filter: CallFilter): string {
  const { Sid, DateCreated, To, From, PhoneNumber, Status, Duration, Price, Direction, PageSize, SortBy } = filter
  const written: readonly (readonly [string, string])[] = [
    ['Sid', items(Sid)],
    ['DateCreated', bounds(DateCreated)],
    ['To', items(To)],
    ['From', items(From)],
    ['PhoneNumber', items(PhoneNumber)],
    ['Status', items(Status)],
    ['Duration', bounds(Duration, 's')],
    ['Price', bounds(Price)],
    ['Direction', items(Direction)],
    ['PageSize', PageSize === undefined ? '' : String(PageSize)],
    ['SortBy', SortBy ?? ''],
  ]
  return written
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&')
}

const items = (value: string | readonly string[] | undefined): string => (typeof value === 'string' ? value : (value ?? []).join(','))

function bounds(range: Range<string | number> | undefined, unit = ''): string {
  return Object.entries(range ?? {})
    .filter(([, value]) => value !== undefined)
    .map(([operator, value]) => `${operator}:${value}${unit}`)
    .join(';')
}
