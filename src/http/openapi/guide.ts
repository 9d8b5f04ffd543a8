/** What holds for every request, in sentences; `code` in backticks. The words of the contract are in docs/contract.md. */
export interface GuideSection {
  readonly title: string
  readonly paragraphs: readonly string[]
}

export const TITLE = 'Earshot'
export const SUMMARY = 'Listen to, whisper into and barge into live phone calls.'

export const GUIDE: readonly GuideSection[] = [
  {
    title: 'Addresses and keys',
    paragraphs: [
      'Everything is below `/v1/Accounts/{AccountSid}`, where `AccountSid` is the name of the account. Send an API key and its token as HTTP Basic, the key as user and the token as password.',
      'Without a key, with a wrong one, or with a key on another account’s path the answer is always the same 401.',
    ],
  },
  {
    title: 'Rights',
    paragraphs: [
      'A key may do what its rights say, and no more; each operation names the right that it takes. Without it the answer is 403, and names the right that lacks. No right holds another one: who may `monitor.barge` may not therefore `monitor.listen`.',
      'A key may be limited to agents of the account. Calls in which none of them takes part are, to that key, not there.',
    ],
  },
  {
    title: 'XML or JSON',
    paragraphs: [
      '`.json` at the end of the path selects JSON; without it the answer is XML under `<TwilioResponse>`. Nothing else does: `Accept` is ignored. Errors follow the path too.',
      'The names are the same in both. In XML null is an empty element, and a list is an element around its members.',
    ],
  },
  {
    title: 'Requests',
    paragraphs: [
      'A body may be JSON, `application/x-www-form-urlencoded` or `multipart/form-data`, up to 64 KiB. Names are case-sensitive; what is not known is ignored, what is empty is as if it had not been sent. A list is a repeated name, `Name[]`, `Name[0]`, or an array in JSON.',
      'Numbers are `+` and all digits; for India also `91…`, `0…` or ten digits; `sip:user@host`; and `client:name` for a phone that is registered under that name. Answers write Indian numbers with a leading 0.',
      'Dates are `YYYY-MM-DD HH:mm:ss` in the account’s time zone.',
    ],
  },
  {
    title: 'Repeating a request',
    paragraphs: [
      'A POST that makes a call, a leg or a key, or moves the balance, takes an `Idempotency-Key` of your own. The same request with the same key gets the first answer for 24 hours, and nobody is dialled twice. GET, PUT and DELETE can be repeated as they are.',
    ],
  },
  {
    title: 'Limits',
    paragraphs: [
      'In a minute an account may read 1,200 times and write 200 times, unless the operator says otherwise. `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` say how far it has come; they come with every answer to who was let in. Beyond it the answer is 429, and its `Retry-After` says after how many seconds to come back.',
      'An address may ask 6,000 times a minute, and 10 times with a wrong key or token; these 429 come without `X-RateLimit`.',
      'Dialling has limits of its own: the rates and the balance of the account, its legs at the same time and in a minute, its spending on a day. Beyond one of them the answer is 403, and says which.',
      'While the server stops it answers 503 to POST, with `Retry-After`; live calls can still be seen and hung up.',
    ],
  },
  {
    title: 'Errors',
    paragraphs: [
      'Every failure has the HTTP status that it says, and one envelope: `{"RestException":{"Status":400,"Message":"…"}}`. Programs go by the status, people by the message. Two 404s say `Code` in the place of `Status`, as the vendor’s do.',
      'A path that exists answers 405 to a method that it does not know, with `Allow`. A path that does not exist is 404.',
    ],
  },
  {
    title: 'Callbacks',
    paragraphs: [
      'What happens is POSTed to the `StatusCallback` that the request named. 2xx within 15 seconds is success; anything else is tried again after 5 seconds, 1 minute, 5, 15, 1 hour and 6 hours, then parked: seen and sent again below Callbacks. A callback may come twice: `webhook-id` tells.',
      'Each one is signed by Standard Webhooks: `webhook-signature` is an HMAC-SHA256 over `webhook-id.webhook-timestamp.body` with the account’s secret, or two of them, with a blank between, while the secret is changed.',
    ],
  },
]
