/** Lists that come in pages: fetched as you walk, until there is no next one. */
import { type Request, type RequestOptions, unexpectedAnswer } from '../request.ts'

/** What every page says of its neighbours. */
export interface Page {
  readonly Metadata: { readonly NextPageUri: string | null }
}

export interface Listing {
  readonly path: string
  readonly query: string
  /** The page's member that holds the list. */
  readonly list: string
}

/**
 * The address of the next page is the server's, its place is ours: only its question is taken over, so that no answer can send
 * the token elsewhere, and a path in front of the API is kept.
 */
export async function* pagesOf<T extends Page>(
  request: Request,
  { path, query: first, list }: Listing,
  options: RequestOptions | undefined,
): AsyncGenerator<T> {
  for (let query: string | null = first; query !== null; ) {
    const page: T = pageIn<T>(await request({ method: 'GET', path, query, member: null }, options), list)
    yield page
    const next: string | null = page.Metadata.NextPageUri
    const question: string | null = next === null ? null : next.slice(next.indexOf('?') + 1)
    // A page that names itself as the next one would never end.
    if (question === query) throw unexpectedAnswer(200)
    query = question
  }
}

/** What is on the pages, one after the other. */
export async function* itemsOf<P, T>(pages: AsyncIterable<P>, listIn: (page: P) => readonly T[]): AsyncGenerator<T> {
  for await (const page of pages) yield* listIn(page)
}

/** A query string; what is absent or empty is left out. */
export const querySpelled = (pairs: readonly (readonly [string, string | number | undefined])[]): string =>
  pairs
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`)
    .join('&')

/** One value, or several between commas. */
export const oneOrMore = (value: string | readonly string[] | undefined): string => (typeof value === 'string' ? value : (value ?? []).join(','))

function pageIn<T extends Page>(content: unknown, list: string): T {
  const page = content as Partial<Page> & Readonly<Record<string, unknown>>
  const next: unknown = page.Metadata?.NextPageUri
  if ((next !== null && typeof next !== 'string') || !Array.isArray(page[list])) throw unexpectedAnswer(200)
  return content as T
}
