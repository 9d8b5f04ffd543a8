/** What became of callbacks, and the secret that signs them. What they say is read by `verifyCallback`. */
import { EarshotError } from '../errors.ts'
import type { Request, RequestOptions } from '../request.ts'
import type { CallbackEvent } from '../resources.ts'
import { callbackPath } from '../sids.ts'
import { itemsOf, pagesOf, querySpelled } from './pages.ts'

/** `pending` waits for its next attempt, `parked` was accepted by nobody and is tried no more until it is replayed. */
export type CallbackState = 'pending' | 'delivered' | 'parked'

export interface CallbackFilter {
  readonly State?: CallbackState | undefined
  /** Any address of the receiver: scheme, host and port count. */
  readonly Receiver?: string | undefined
  readonly CallSid?: string | undefined
  /** 1 to 100, default 50. */
  readonly PageSize?: number | undefined
}

/** One callback and what became of it. */
export interface CallbackRecord {
  /** The `webhook-id` of every attempt: `verdict.id`. */
  readonly Sid: string
  readonly AccountSid: string
  readonly CallSid: string
  /** Null for the call's own. */
  readonly LegSid: string | null
  readonly EventType: CallbackEvent
  readonly State: CallbackState
  /** Where it goes; a password in it is not shown. */
  readonly StatusCallback: string
  /** Ever made. */
  readonly Attempts: number
  /** HTTP status of the last attempt; null when there was none. */
  readonly LastStatus: number | null
  readonly LastError: string | null
  readonly DateCreated: string
  /** When it is tried again; null unless it is pending. */
  readonly DateDue: string | null
  /** When it was delivered or parked. */
  readonly DateSettled: string | null
  readonly Uri: string
}

/** With what is sent. */
export interface CallbackWithBody extends CallbackRecord {
  readonly ContentType: string
  readonly Body: string
}

export interface CallbackPage {
  readonly Metadata: {
    /** On all pages together, counted up to a limit of the server's. */
    readonly Total: number
    readonly PageSize: number
    readonly FirstPageUri: string
    readonly PrevPageUri: string | null
    readonly NextPageUri: string | null
  }
  readonly Callbacks: readonly CallbackRecord[]
}

/** What one request to replay has done. */
export interface ReplayCount {
  readonly Replayed: number
  /** Parked ones that were left, since there is a limit to what one request does: ask again. */
  readonly Remaining: number
}

/** With what callbacks are signed, without the secret. */
export interface CallbackSecret {
  /** The first hexadecimal digits of the secret's SHA-256. */
  readonly Fingerprint: string
  /** `configuration`: the operator's file names it, and only the file changes it. */
  readonly Source: 'configuration' | 'data'
  readonly DateCreated: string | null
  /** Of the one before, which signs as well during a rotation. */
  readonly PreviousFingerprint: string | null
  readonly PreviousUntil: string | null
}

export interface RotatedSecret extends CallbackSecret {
  /** `whsec_…`, told this once. */
  readonly Secret: string
}

/** For keys with `accounts.admin` that are not limited to agents. */
export interface Callbacks {
  /** All that pass the filter, the newest first; pages are fetched as you go. @throws {EarshotError} invalid-parameter · right-missing */
  list(filter?: CallbackFilter, options?: RequestOptions): AsyncIterable<CallbackRecord>
  /** The same, page by page. */
  pages(filter?: CallbackFilter, options?: RequestOptions): AsyncIterable<CallbackPage>
  /** One, with what is sent. @throws {EarshotError} callback-not-found */
  get(callbackSid: string, options?: RequestOptions): Promise<CallbackWithBody>
  /** Sends a parked one again, from the beginning of its schedule. @throws {EarshotError} callback-not-found · callback-not-parked */
  replay(callbackSid: string, options?: RequestOptions): Promise<CallbackWithBody>
  /** The same for all that are parked, of one receiver or of every one, the oldest first. @throws {EarshotError} invalid-parameter */
  replayParked(parameters?: Pick<CallbackFilter, 'Receiver'>, options?: RequestOptions): Promise<ReplayCount>
  /** What is known of the secret, which nobody can look up. */
  secret(options?: RequestOptions): Promise<CallbackSecret>
  /**
   * Makes a new secret; the present one signs as well for `KeepHours`, 0 to 720, default 24. Not repeated when no answer comes
   * (`maybeDone`), since each time makes another one and ends the one before.
   * @throws {EarshotError} invalid-parameter · secret-configured
   */
  rotateSecret(parameters?: { readonly KeepHours?: number | undefined }, options?: RequestOptions): Promise<RotatedSecret>
}

export function makeCallbacks(request: Request): Callbacks {
  const pages = ({ State, Receiver, CallSid, PageSize }: CallbackFilter = {}, options?: RequestOptions) => {
    const query = querySpelled([
      ['State', State],
      ['Receiver', Receiver],
      ['CallSid', CallSid],
      ['PageSize', PageSize],
    ])
    return pagesOf<CallbackPage>(request, { path: '/Callbacks', query, list: 'Callbacks' }, options)
  }
  const get: Callbacks['get'] = async (callbackSid, options) =>
    (await request({ method: 'GET', path: callbackPath(callbackSid), member: 'Callback' }, options)) as CallbackWithBody
  return {
    pages,
    get,
    list: (filter, options) => itemsOf(pages(filter, options), ({ Callbacks: callbacks }) => callbacks),
    replay: async (callbackSid, options) => {
      const path = `${callbackPath(callbackSid)}/Replay`
      const asking = request({ method: 'POST', path, member: 'Callback' }, options) as Promise<CallbackWithBody>
      return asking.catch((error: unknown) => {
        // The try whose answer was lost has made it pending; it is no longer parked for the next.
        if (error instanceof EarshotError && error.maybeDone && error.code === 'callback-not-parked') return get(callbackSid, options)
        throw error
      })
    },
    replayParked: async (parameters = {}, options) =>
      (await request({ method: 'POST', path: '/Callbacks/Replay', fields: parameters, member: 'Replay' }, options)) as ReplayCount,
    secret: async (options) => (await request({ method: 'GET', path: '/CallbackSecret', member: 'CallbackSecret' }, options)) as CallbackSecret,
    rotateSecret: async (parameters = {}, options) => {
      const asked = { method: 'POST', path: '/CallbackSecret/Rotate', fields: parameters, member: 'CallbackSecret', onlyOnce: true } as const
      return (await request(asked, options)) as RotatedSecret
    },
  }
}
