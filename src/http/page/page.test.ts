import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XMLValidator } from 'fast-xml-parser'
import { openApi } from '../openapi/document.ts'
import { GUIDE } from '../openapi/guide.ts'
import { ROUTES } from '../routes.ts'
import { html, prose } from './html.ts'
import { page } from './page.ts'

const document = openApi(ROUTES, '1.2.3')
const text = page(document)

test('what is put into a template is escaped, unless it is HTML already', () => {
  const hostile = `<script>alert("1" & '2')</script>`
  assert.equal(html`<p title="${hostile}">${hostile}</p>`.html.includes('<script'), false)
  assert.equal(html`<ul>${['a<', 'b'].map((one) => html`<li>${one}</li>`)}${3}</ul>`.html, '<ul><li>a&lt;</li><li>b</li>3</ul>')
  assert.equal(prose('say `a<b` & go').html, 'say <code>a&lt;b</code> &amp; go')
})

test('the page is well formed: every element is closed where it should be', () => {
  const closed = text.replace(/<!doctype html>\n/, '').replace(/<meta [^>]*>/g, (meta) => `${meta.slice(0, -1)}/>`)
  assert.equal(XMLValidator.validate(closed), true)
})

test('the page fetches nothing and runs nothing', () => {
  assert.ok(!/<(?:script|img|iframe|object|embed|form|base|link|svg)\b/i.test(text))
  assert.ok(!/\s(?:src|srcset|style|on\w+)=/i.test(text))
  assert.ok(!/url\(|@import/i.test(text))
  const addresses = [...text.matchAll(/href="([^"]*)"/g)].map(([, address = '']) => address)
  assert.ok(
    addresses.every((address) => address.startsWith('#') || address === 'openapi.json'),
    addresses.join(' '),
  )
})

test('every link leads to a place on the page, and places have names of their own', () => {
  const places = [...text.matchAll(/ id="([^"]*)"/g)].map(([, place = '']) => place)
  assert.equal(new Set(places).size, places.length)
  for (const [, place = ''] of text.matchAll(/href="#([^"]*)"/g)) assert.ok(places.includes(place), place)
})

test('every operation is on the page once, with its path, its parameters, its answers in both formats and its failures', () => {
  for (const { says, method } of ROUTES) {
    const [, article = ''] = new RegExp(`<article id="${says.id}">([^]*?)</article>`).exec(text) ?? []
    assert.ok(article.includes(`>${method}</span>`) && article.includes('/v1/Accounts/{AccountSid}/'), says.id)
    const names = [
      ...Object.keys(says.query?.parameters.shape ?? {}),
      ...Object.keys(says.body?.parameters.shape ?? {}),
      ...(says.idempotent ? ['Idempotency-Key'] : []),
    ]
    for (const name of names) assert.ok(article.includes(`<code>${name}</code>`), `${says.id} ${name}`)
    if (says.answers[0].kind === 'resource') assert.ok(article.includes('In XML') && article.includes('&lt;TwilioResponse&gt;'), says.id)
    assert.ok(article.includes('Authentication failed') && article.includes('curl '), says.id)
  }
})

test('everything that holds for every request is on the page, and so is what callbacks say', () => {
  for (const { title } of GUIDE) assert.ok(text.includes(`>${title}</h3>`), title)
  assert.ok(text.includes('<article id="onLegEvent">') && text.includes('<article id="onCallEvent">') && text.includes('webhook-signature'))
  assert.ok(text.includes('1.2.3'))
})

test('keys inside of keys are on the page with the way to them', () => {
  for (const key of [
    'Metadata.NextPageUri',
    'Legs[].Leg.OnCallDuration',
    'Legs[].AnsweredBy',
    'RestException.Code',
    'RestException.Status',
    'Tape',
    'Hears[].LegSid',
    'Sounds[].Name',
  ])
    assert.ok(text.includes(`<code>${key}</code>`), key)
})
