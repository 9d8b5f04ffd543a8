/**
 * The torture messages of RFC 4475 (49) and RFC 5118 (12): the verdict on each, and for those that are read, that they are
 * read rightly. Nothing is skipped. `read` means that the message layer lets it through; where the RFC expects a
 * refusal by who understands the content (416, 420, 415, …), `because` says who refuses.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  contacts,
  cseqOf,
  expirySeconds,
  listValues,
  maxForwards,
  mediaType,
  optionTags,
  parseAuth,
  parseVia,
  routes,
  tagOf,
  topVia,
  vias,
} from './header.ts'
import { headerValue, headerValues, writeMessage } from './message.ts'
import type { SipMessage, SipRequest, SipResponse } from './message.ts'
import { parseMessage } from './parse.ts'
import { parseNameAddr, parseUri, userText } from './uri.ts'

type Verdict =
  | { readonly kind: 'read'; readonly because?: string; readonly check: (message: SipMessage) => void }
  /** `answer`: the status to answer with, or null when it must be dropped. `reason` as the parser names it. */
  | { readonly kind: 'refused'; readonly answer: number | null; readonly reason: string; readonly because?: string }

const folder = new URL('../../test/data/', import.meta.url)

function bytesOf(suite: string, name: string): Uint8Array {
  return readFileSync(new URL(`${suite}/${name}`, folder))
}

function request(message: SipMessage): SipRequest {
  assert.equal(message.kind, 'request')
  return message as SipRequest
}

function response(message: SipMessage): SipResponse {
  assert.equal(message.kind, 'response')
  return message as SipResponse
}

function address(message: SipMessage, name: string) {
  return parseNameAddr(headerValue(message, name) ?? '')
}

function contactUsers(message: SipMessage): readonly string[] {
  const list = contacts(message)
  assert.notEqual(list, '*')
  return list === '*' ? [] : list.map((contact) => userText(contact.uri))
}

const read = (check: (message: SipMessage) => void, because?: string): Verdict =>
  because === undefined ? { kind: 'read', check } : { kind: 'read', check, because }
const refused = (answer: number | null, reason: string, because?: string): Verdict =>
  because === undefined ? { kind: 'refused', answer, reason } : { kind: 'refused', answer, reason, because }

/** §3.1.1 */
const VALID: Readonly<Record<string, Verdict>> = {
  wsinv: read((message) => {
    assert.equal(request(message).uri, 'sip:vivekg@chair-dnrc.example.com;unknownparam')
    assert.equal(tagOf(headerValue(message, 'To') ?? ''), '1918181833n')
    assert.equal(address(message, 'From')?.display, 'J Rosenberg \\"')
    assert.equal(tagOf(headerValue(message, 'From') ?? ''), '98asjd8')
    assert.equal(maxForwards(message), 68)
    assert.deepEqual(cseqOf(message), { sequence: 9, method: 'INVITE' })
    assert.equal(headerValue(message, 'Subject'), '')
    assert.equal(headerValue(message, 'NewFangledHeader'), 'newfangled value continued newfangled value')
    assert.equal(headerValue(message, 'UnknownHeaderWithUnusualValue'), ';;,,;;,;')
    assert.deepEqual(
      vias(message)?.map((via) => [via.protocol, via.transport, via.host, via.params.get('branch')]),
      [
        ['SIP/2.0', 'UDP', '192.0.2.2', '390skdjuw'],
        ['SIP/2.0', 'TCP', 'spindle.example.com', 'z9hG4bK9ikj8'],
        ['SIP/2.0', 'UDP', '192.168.255.111', 'z9hG4bK30239'],
      ],
    )
    assert.deepEqual(
      [...(routes(message, 'Route')[0]?.uri.params ?? [])],
      [
        ['lr', ''],
        ['unknownwith', 'value'],
        ['unknown-no-value', ''],
      ],
    )
    const list = contacts(message)
    assert.ok(list !== '*')
    assert.equal(list[0]?.display, 'Quoted string ""')
    assert.deepEqual(
      [...(list[0]?.params ?? [])],
      [
        ['newparam', 'newvalue'],
        ['secondparam', ''],
        ['q', '0.33'],
      ],
    )
    assert.equal(message.body.length, 150)
  }),
  intmeth: read((message) => {
    assert.equal(request(message).method, "!interesting-Method0123456789_*+`.%indeed'~")
    assert.equal(cseqOf(message)?.method, request(message).method)
    const uri = parseUri(request(message).uri)
    assert.equal(uri?.user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    assert.equal(uri?.password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
    assert.equal(uri?.host, 'example.com')
    assert.equal(address(message, 'To')?.display, 'BEL:\u0007 NUL:\u0000 DEL:\u007f')
    assert.equal(address(message, 'From')?.display, "token1~` token2'+_ token3*%!.-")
    assert.equal(address(message, 'From')?.params.get("fromparam''~+*_!.-%"), 'работающий')
    assert.equal(tagOf(headerValue(message, 'From') ?? ''), "_token~1'+`*%!-.")
    assert.equal(headerValue(message, 'Call-ID'), 'intmeth.word%ZK-!.*_+\'@word`~)(><:\\/"][?}{')
    assert.equal(headerValue(message, "extensionHeader-!.%*+_`'~"), '\ufeff大停電')
    assert.equal(maxForwards(message), 255)
  }),
  esc01: read((message) => {
    const uri = parseUri(request(message).uri)
    assert.equal(uri?.user, 'sips%3Auser%40example.com')
    assert.equal(uri === null ? null : userText(uri), 'sips:user@example.com')
    assert.equal(uri?.host, 'example.net')
    assert.equal(address(message, 'To')?.uri.user, '%75se%72')
    assert.deepEqual(contactUsers(message), ['caller'])
  }),
  escnull: read((message) => assert.deepEqual(contactUsers(message), ['\u0000', '\u0000\u0000'])),
  esc02: read((message) => {
    assert.equal(request(message).method, 'RE%47IST%45R')
    assert.equal(address(message, 'To')?.display, '%Z%45')
    assert.deepEqual(contactUsers(message), ['alias1', 'alias3'])
    assert.equal(headerValue(message, 'C%6Fntact'), '<sip:alias2@host2.example.com>')
    assert.equal(topVia(message)?.params.get('branch'), 'z9hG4bK209%fzsnel234')
  }),
  lwsdisp: read((message) => assert.equal(address(message, 'From')?.display, 'caller')),
  longreq: read((message) => {
    assert.equal(vias(message)?.length, 34)
    assert.equal(address(message, 'From')?.uri.user.length, 'amazinglylongcallername'.length * 5)
    assert.equal(address(message, 'To')?.uri.port, 6000)
    assert.equal(vias(message)?.[0]?.host, 'sip33.example.com')
  }),
  dblreq: read((message) => {
    assert.equal(request(message).method, 'REGISTER')
    assert.equal(message.body.length, 0)
  }, 'in a datagram what follows the body is ignored'),
  semiuri: read((message) => {
    assert.equal(parseUri(request(message).uri)?.user, 'user;par=u%40example.net')
    assert.equal(parseUri(request(message).uri)?.params.size, 0)
    assert.equal(listValues(message, 'Accept').length, 6)
  }),
  transports: read((message) =>
    assert.deepEqual(
      vias(message)?.map((via) => via.transport),
      ['UDP', 'SCTP', 'TLS', 'UNKNOWN', 'TCP'],
    ),
  ),
  mpart01: read((message) => {
    assert.equal(message.body.length, 553)
    assert.equal(mediaType(message), 'multipart/mixed')
    assert.ok(message.body.includes(0x82), 'the binary part is untouched')
    assert.equal(topVia(message)?.params.get('rport'), '')
  }),
  unreason: read((message) => assert.equal(response(message).reason, '= 2**3 * 5**2 но сто девяносто девять - простое')),
  noreason: read((message) => {
    assert.equal(response(message).status, 100)
    assert.equal(response(message).reason, '')
  }),
}

/** §3.1.2 */
const INVALID: Readonly<Record<string, Verdict>> = {
  badinv01: refused(400, 'Malformed Via'),
  clerr: refused(400, 'Malformed Content-Length'),
  ncl: refused(400, 'Malformed Content-Length'),
  scalar02: refused(400, 'Malformed CSeq'),
  scalarlg: refused(null, 'Malformed CSeq', 'responses are dropped, never answered'),
  quotbal: refused(400, 'Malformed To'),
  ltgtruri: refused(400, 'Malformed Request-URI'),
  lwsruri: refused(400, 'Malformed Request-Line'),
  lwsstart: refused(400, 'Malformed Request-Line'),
  trws: refused(400, 'Malformed Request-Line'),
  escruri: refused(400, 'Malformed Request-URI', 'the RFC lets us ignore the headers; whoever sends them may want a Route smuggled in'),
  baddate: refused(400, 'Malformed Date'),
  regbadct: refused(400, 'Malformed Contact'),
  badaspec: refused(400, 'Malformed To', 'the RFC lets us ignore the spaces; no known phone needs it'),
  baddn: refused(400, 'Malformed From'),
  badvers: refused(505, 'Version Not Supported'),
  mismatch01: refused(400, 'CSeq Method Mismatch'),
  mismatch02: refused(400, 'CSeq Method Mismatch', '501 would be right as well'),
  bigcode: refused(null, 'Malformed Start Line', 'responses are dropped, never answered'),
}

/** §3.2, §3.3, §3.4 */
const SEMANTIC: Readonly<Record<string, Verdict>> = {
  badbranch: refused(400, 'Malformed Branch', 'the bare cookie would make all such requests one transaction'),
  insuf: refused(null, 'Missing From', 'an answer without Call-ID, From and To would belong to nobody'),
  multi01: refused(null, 'Duplicate From', 'two Call-IDs: nobody could tell what the answer belongs to'),
  mcl01: refused(400, 'Duplicate Content-Length'),
  unkscm: read((message) => {
    assert.equal(parseUri(request(message).uri)?.scheme, 'nobodyknowsthisscheme')
    assert.equal(parseUri(request(message).uri)?.opaque, 'totallyopaquecontent')
  }, 'the user agent answers 416'),
  novelsc: read((message) => assert.equal(parseUri(request(message).uri)?.scheme, 'soap.beep'), 'the user agent answers 416'),
  unksm2: read((message) => {
    assert.equal(address(message, 'To')?.uri.scheme, 'isbn')
    assert.equal(address(message, 'From')?.uri.scheme, 'http')
    assert.deepEqual(contacts(message) === '*' ? null : contacts(message).length, 1)
  }, 'well-formed: the registrar finds no such address of record'),
  bext01: read(
    (message) => assert.deepEqual(optionTags(message, 'Require'), ['nothingsupportsthis', 'nothingsupportsthiseither']),
    'the user agent answers 420',
  ),
  invut: read((message) => assert.equal(mediaType(message), 'application/unknownformat'), 'the user agent answers 415'),
  regaut01: read(
    (message) => assert.equal(parseAuth(headerValue(message, 'Authorization') ?? '')?.scheme, 'nooneknowsthisscheme'),
    'the registrar challenges',
  ),
  bcast: read((message) => {
    assert.equal(topVia(message)?.host, '192.0.2.198')
    assert.equal(vias(message)?.length, 2)
  }, 'a user agent drops it for its second Via (RFC 3261 §8.1.3.3)'),
  zeromf: read((message) => assert.equal(maxForwards(message), 0), 'only a proxy refuses it (483)'),
  cparam01: read((message) => {
    const list = contacts(message)
    assert.ok(list !== '*')
    assert.equal(list[0]?.params.get('unknownparam'), '', "the header's parameter")
    assert.equal(list[0]?.uri.params.size, 0)
  }),
  cparam02: read((message) => {
    const list = contacts(message)
    assert.ok(list !== '*')
    assert.equal(list[0]?.uri.params.get('unknownparam'), '', "the URI's parameter")
    assert.equal(list[0]?.params.size, 0)
  }),
  regescrt: read((message) => {
    const list = contacts(message)
    assert.ok(list !== '*')
    assert.equal(list[0]?.uri.headers, 'Route=%3Csip:sip.example.com%3E')
  }, 'stored; whoever dials the contact must not let it set a Route'),
  sdp01: read((message) => assert.deepEqual(listValues(message, 'Accept'), ['text/nobodyKnowsThis']), 'the user agent may answer 406'),
  inv2543: read((message) => {
    assert.equal(tagOf(headerValue(message, 'From') ?? ''), null)
    assert.equal(address(message, 'To')?.params.get('user'), 'phone')
    assert.equal(topVia(message)?.params.get('branch'), undefined)
    assert.equal(maxForwards(message), null)
    assert.ok(message.body.length > 100, 'without Content-Length the body is the rest of the datagram')
  }, 'RFC 2543: legal; the transaction layer matches it without a branch, or refuses'),
}

const IPV6: Readonly<Record<string, Verdict>> = {
  'ipv6-good': read((message) =>
    assert.deepEqual([parseUri(request(message).uri)?.host, parseUri(request(message).uri)?.port], ['2001:db8::10', null]),
  ),
  'ipv6-bad': refused(400, 'Malformed Request-URI', 'an address without brackets'),
  'port-ambiguous': read((message) =>
    assert.deepEqual([parseUri(request(message).uri)?.host, parseUri(request(message).uri)?.port], ['2001:db8::10:5070', null]),
  ),
  'port-unambiguous': read((message) =>
    assert.deepEqual([parseUri(request(message).uri)?.host, parseUri(request(message).uri)?.port], ['2001:db8::10', 5070]),
  ),
  'via-received-param-with-delim': read((message) => assert.equal(topVia(message)?.params.get('received'), '[2001:db8::9:255]')),
  'via-received-param-no-delim': read((message) => assert.equal(topVia(message)?.params.get('received'), '2001:db8::9:255')),
  'ipv6-in-sdp': read((message) => assert.equal(topVia(message)?.host, '2001:db8::20')),
  'mult-ip-in-header': read((message) =>
    assert.deepEqual(
      vias(message)?.map((via) => [via.host, via.port]),
      [
        ['2001:db8::9:1', 6050],
        ['192.0.2.1', null],
        ['2001:db8::9:255', null],
      ],
    ),
  ),
  'mult-ip-in-sdp': read((message) => assert.equal(message.body.length, 181)),
  'ipv4-mapped-ipv6': read((message) => assert.deepEqual([topVia(message)?.host, topVia(message)?.port], ['::ffff:192.0.2.10', 19823])),
  'ipv6-bug-abnf-3-colons': read(
    (message) => assert.equal(parseUri(request(message).uri)?.host, '2001:db8::192.0.2.1'),
    'RFC 5118 §4.10 asks for leniency',
  ),
  'ipv6-correct-abnf-2-colons': read((message) => assert.equal(parseUri(request(message).uri)?.host, '2001:db8::192.0.2.1')),
}

function judge(bytes: Uint8Array, verdict: Verdict): void {
  const result = parseMessage(bytes)
  if (verdict.kind === 'read') {
    assert.ok(result.kind === 'message', result.kind === 'malformed' ? result.reason : '')
    verdict.check(result.message)
    const again = parseMessage(writeMessage(result.message))
    assert.ok(again.kind === 'message', 'what we write can be read')
    verdict.check(again.message)
    assert.deepEqual(again.message.body, result.message.body)
    return
  }
  assert.ok(result.kind === 'malformed', 'it was read')
  assert.equal(result.reason, verdict.reason)
  assert.equal(result.answerable !== null, verdict.answer !== null)
  if (verdict.answer === null || result.answerable === null) return
  assert.equal(result.status, verdict.answer)
  assert.ok(parseVia(headerValues(result.answerable, 'Via')[0]?.split(',')[0] ?? ''), 'we know where to answer to')
}

const RFC_4475 = { ...VALID, ...INVALID, ...SEMANTIC }

for (const [name, verdict] of Object.entries(RFC_4475)) {
  test(`RFC 4475 ${name} is ${verdict.kind}${verdict.because === undefined ? '' : `: ${verdict.because}`}`, () =>
    judge(bytesOf('rfc4475', `${name}.dat`), verdict))
}

for (const [name, verdict] of Object.entries(IPV6)) {
  test(`RFC 5118 ${name} is ${verdict.kind}${verdict.because === undefined ? '' : `: ${verdict.because}`}`, () =>
    judge(bytesOf('rfc5118', name), verdict))
}

test('every torture message has a verdict: 13 valid, 19 invalid, 17 of meaning, 12 of IPv6', () => {
  assert.deepEqual(
    [VALID, INVALID, SEMANTIC, IPV6].map((suite) => Object.keys(suite).length),
    [13, 19, 17, 12],
  )
  assert.deepEqual(
    readdirSync(new URL('rfc4475', folder)).sort(),
    Object.keys(RFC_4475)
      .map((name) => `${name}.dat`)
      .sort(),
  )
  assert.deepEqual(readdirSync(new URL('rfc5118', folder)).sort(), Object.keys(IPV6).sort())
})

test('a torture message cut short anywhere is judged, not thrown at', () => {
  for (const name of Object.keys(RFC_4475)) {
    const bytes = bytesOf('rfc4475', `${name}.dat`)
    for (let length = 0; length < bytes.length; length += 7) parseMessage(bytes.subarray(0, length))
  }
})

test('the second Expires of scalar02 saturates instead of overflowing', () => {
  const huge = { headers: [{ name: 'Expires', value: '1'.padEnd(101, '0') }] }
  assert.equal(expirySeconds(huge, parseNameAddr('<sip:user@host129.example.com>;expires=280297596632815')), 2 ** 32 - 1)
  assert.equal(expirySeconds(huge, null), 2 ** 32 - 1)
})
