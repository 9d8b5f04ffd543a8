/** Failures as they are described (contract C8 to C10): their envelope, and when each one comes. Their texts are in `../errors.ts`. */
import * as z from 'zod'
import type { ErrorCode } from '../errors.ts'

const message = z.string().min(1).meta({ description: 'What is wrong, for people. Programs go by the HTTP status.' })
const number = (description: string) => z.int().min(400).max(599).meta({ description })

/** The one envelope of all failures. */
export const ERROR_ANSWER = z
  .strictObject({
    RestException: z.union([
      z.strictObject({ Status: number('The HTTP status again.'), Message: message }),
      z.strictObject({
        Code: number('The HTTP status again, under the name that the vendor has in its two documented 404s of this API.'),
        Message: message,
      }),
    ]),
  })
  .meta({ description: 'A failure. `Status` is the HTTP status; two errors say `Code` in its place.' })

/** When an error comes, in a sentence for those who write clients. */
export const WHEN: Readonly<Record<ErrorCode, string>> = {
  'call-not-in-progress': 'No live leg: the call is unknown, has ended, or is another account’s.',
  'leg-not-found': 'No such live leg in this call; for a mode, no such monitor leg.',
  'call-not-found': 'The account has no such call.',
  'recording-not-found': 'It was not recorded, still lives, or its file was deleted; or the account has no such call.',
  'invalid-parameter': 'The first parameter that is missing or wrong is named.',
  'destination-not-allowed': 'The operator’s rules do not let the account dial that.',
  'too-many-monitors': 'As many supervisors as the account may have are on the call.',
  'too-many-legs': 'The call has had as many legs as one may have.',
  'right-missing': 'The key lacks the right that is named. When none is: it is limited to agents, and that is beyond them.',
  'key-not-found': 'The account has no such key, or it is beyond the agents that the asking key is limited to.',
  'key-not-active': 'A key that has expired or was revoked gets no new token.',
  'key-configured': 'The operator’s configuration has that key: it is changed there and nowhere else.',
  'too-many-keys': 'The account has 200 active keys.',
  'notice-missing': 'The operator has not said whether this account’s parties hear a tone while somebody listens, and silence is nobody’s default.',
  'no-rate': 'The account’s rate plan has no price for that: what has none is not dialled.',
  'no-balance': 'A prepaid account has not enough for the first pulse of what is to be dialled.',
  'day-spend-reached': 'The account’s cap on a day’s spending would be passed.',
  'legs-reached': 'The account’s cap on legs at the same time would be passed; a call counts as two from its beginning.',
  'leg-starts-reached': 'The account’s cap on legs that are dialled within a minute would be passed.',
  'no-plan': 'The operator has given the account no rate plan: nothing is charged, and there is no balance.',
  'idempotency-mismatch': 'The key in `Idempotency-Key` came with another request before.',
  'callback-not-found': 'The account has no such callback.',
  'callback-not-parked': 'It was delivered, or waits for its next attempt.',
  'secret-configured': 'The operator’s configuration has the secret: it is changed there and nowhere else.',
  draining: 'The server is about to stop: what lives can be seen and hung up, nothing new begins.',
  busy: 'The server looks at as many tokens as it can; `Retry-After` says how many seconds to wait.',
  'bad-request': 'The body is not what its Content-Type says, or there are too many values, or it is not HTTP.',
  unauthorized: 'No key, an unknown key, a wrong token, or a path of another account: always the same answer.',
  'not-found': 'There is no such path. Paths are case-sensitive.',
  'method-not-allowed': 'The path does not know that method; `Allow` says which it knows.',
  'request-timeout': 'The request came too slowly.',
  'too-large': 'The body is over 64 KiB.',
  'uri-too-long': 'A part of the path is too long.',
  'unsupported-media-type': 'A Content-Type or Content-Encoding that is not read here.',
  'too-many-requests':
    'The account, or the address that asks, has made its requests of this minute, or the address too many with a wrong key or token; `Retry-After` says how many seconds are left of it. A stream of events: as many as may be are open.',
  'headers-too-large': 'The headers are over 16 KiB.',
  internal: 'A mistake of the server’s; its log has the id that is in brackets.',
  unavailable: 'The server is starting or about to stop; `Retry-After` says how many seconds to wait.',
}
