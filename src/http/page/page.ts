/** The description for people: one page made of the OpenAPI document, that fetches nothing and runs no script. */
import type { JsonSchema } from '../../contract/schemas/description.ts'
import { GUIDE } from '../openapi/guide.ts'
import { type Html, html, NOTHING, prose } from './html.ts'
import type { HttpMethod, MediaTypeObject, OpenApi, OperationObject, PathItem, ResponseObject } from '../openapi/types.ts'
import { STYLE } from './style.ts'
import { errorTable, examplesOf, keyTable, parameterOf, parameterTable, schemaLink, schemaOf } from './tables.ts'

const METHODS: readonly HttpMethod[] = ['get', 'post', 'put', 'patch', 'delete']
const SUFFIX = '.json'

interface Shown {
  readonly method: HttpMethod
  readonly path: string
  readonly item: PathItem
  readonly operation: OperationObject
  /** The same in XML, where there is one. */
  readonly xml: OperationObject | null
}

/** The whole page. */
export function page(document: OpenApi): string {
  const shown = operationsOf(document)
  const { title, summary, version } = document.info
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} API</title>
<style>${{ html: STYLE }}</style>
</head>
<body>
<a class="skip" href="#main">To the text</a>
<div class="frame">
${contents(document, shown)}
<main id="main">
<h1>${title} API</h1>
<p class="lead">${summary}</p>
<p class="soft">Version ${version}. For machines: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
${GUIDE.map(({ title: name, paragraphs }) => html`<h3 id="${anchor(name)}">${name}</h3>${paragraphs.map((text) => html`<p>${prose(text)}</p>`)}`)}
${document.tags.map((tag) => html`<h2 id="tag-${tag.name}">${tag.name}</h2><p>${prose(tag.description)}</p>${inTag(shown, tag.name).map((one) => operationArticle(document, one))}`)}
<h2 id="callbacks">What callbacks say</h2>
${callbackArticles(document, shown)}
<h2 id="schemas">What answers say</h2>
${Object.entries(document.components.schemas)
  .filter(([name]) => isAnswerPart(name))
  .map(([name, schema]) => schemaArticle(name, schema))}
</main>
</div>
</body>
</html>
`.html
}

/** Each operation once: under its path in JSON, with the one in XML beside it. */
function operationsOf({ paths }: OpenApi): readonly Shown[] {
  return Object.entries(paths).flatMap(([path, item]) => {
    if (paths[`${path}${SUFFIX}`] !== undefined) return []
    const inXml = path.endsWith(SUFFIX) ? paths[path.slice(0, -SUFFIX.length)] : undefined
    return METHODS.flatMap((method): Shown[] => {
      const operation = item[method]
      return operation === undefined ? [] : [{ method, path, item, operation, xml: inXml?.[method] ?? null }]
    })
  })
}

const inTag = (shown: readonly Shown[], tag: string): readonly Shown[] => shown.filter(({ operation }) => operation.tags?.includes(tag))

function contents(document: OpenApi, shown: readonly Shown[]): Html {
  const link = (to: string, text: string): Html => html`<li><a href="#${to}">${text}</a></li>`
  const tags = document.tags.map(
    ({ name }) => html`<h2>${name}</h2><ul>${inTag(shown, name).map(({ operation }) => link(operation.operationId, operation.summary))}</ul>`,
  )
  const rest = html`<ul>${link('callbacks', 'What callbacks say')}${link('schemas', 'What answers say')}</ul>`
  return html`<nav aria-label="Contents"><h2>For every request</h2><ul>${GUIDE.map(({ title }) => link(anchor(title), title))}</ul>${tags}<h2>Bodies</h2>${rest}</nav>`
}

function operationArticle(document: OpenApi, { method, path, item, operation, xml }: Shown): Html {
  const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => parameterOf(document, one))
  const rules = operation['x-contract-rules'] ?? []
  const source = operation['x-codeSamples']?.[0]?.source
  return html`<article id="${operation.operationId}">
<h3>${operation.summary}</h3>
<div class="path"><span class="method ${method}">${method.toUpperCase()}</span><code>${path}</code></div>
${operation.description.split('\n\n').map((text) => html`<p>${prose(text)}</p>`)}
<p class="soft">${xml === null ? NOTHING : html`Without <code>.json</code> the answer is XML. `}${rules.length === 0 ? NOTHING : html`Rules of the contract: ${rules.join(', ')}.`}</p>
${parameters.length === 0 ? NOTHING : html`<h4>Parameters</h4>${parameterTable(parameters)}`}
${bodyPart(document, operation)}
${source === undefined ? NOTHING : html`<h4>Example</h4><pre tabindex="0"><code>${source}</code></pre>`}
${answerPart(document, operation, xml)}
${Object.keys(operation.responses).every((status) => status.startsWith('2')) ? NOTHING : html`<details><summary>Failures</summary>${errorTable(document, operation)}</details>`}
</article>`
}

function bodyPart(document: OpenApi, { requestBody, callbacks }: OperationObject): Html {
  const schema = Object.values(requestBody?.content ?? {})[0]?.schema
  if (schema === undefined) return NOTHING
  const told =
    callbacks === undefined ? NOTHING : html`<p>What happens is sent to <code>StatusCallback</code>: <a href="#callbacks">what callbacks say</a>.</p>`
  return html`<h4>Body</h4>${keyTable(schemaOf(document, schema), 'body')}${told}`
}

function answerPart(document: OpenApi, operation: OperationObject, xml: OperationObject | null): Html {
  const ok = operation.responses['200']
  const [mediaType = '', media] = Object.entries(ok?.content ?? {})[0] ?? []
  if (ok === undefined || media === undefined) return NOTHING
  const links = (media.schema.anyOf ?? [media.schema]).map(schemaLink).filter((link) => link !== NOTHING)
  const xmlMedia = Object.values(xml?.responses['200']?.content ?? {})[0]
  const named = links.length === 0 ? NOTHING : html` ${links.map((link, n) => html`${n === 0 ? '' : ' or '}${link}`)}`
  const type = mediaType === 'application/json' ? NOTHING : html` <code>${mediaType}</code>`
  return html`<h4>Answer</h4><p>${ok.description}${type}${named}</p>${headerPart(ok)}${samples(document, media)}${eventPart(media)}${otherAnswers(operation)}${xmlMedia === undefined ? NOTHING : html`<details><summary>In XML</summary>${samples(document, xmlMedia)}</details>`}`
}

/** Headers of this answer alone; those of all answers are explained once, with the limits. */
function headerPart({ headers = {} }: ResponseObject): Html {
  const own = Object.entries(headers).flatMap(([name, header]) =>
    '$ref' in header ? [] : [html`<li><code>${name}</code>: ${prose(header.description)}</li>`],
  )
  return own.length === 0 ? NOTHING : html`<ul>${own}</ul>`
}

/** What the data of each event of a stream says. */
function eventPart({ 'x-events': events = {} }: MediaTypeObject): Html {
  const rows = Object.entries(events).map(([name, schema]) => html`<li><code>${name}</code>: ${schemaLink(schema)}</li>`)
  return rows.length === 0 ? NOTHING : html`<h4>Events</h4><ul>${rows}</ul>`
}

/** Those that are neither the success nor a failure in the envelope: a part of a file. */
function otherAnswers({ responses }: OperationObject): Html {
  const others = Object.entries(responses).filter(([, { content }]) => content === undefined)
  return html`${others.map(([status, answer]) => html`<p><code>${status}</code> ${answer.description}</p>${headerPart(answer)}`)}`
}

function samples(document: OpenApi, media: MediaTypeObject): Html {
  const one = media.example === undefined ? NOTHING : pre(media.example)
  const examples = examplesOf(document, media)
  return html`${one}${examples.map(({ summary = '', value }) => html`${examples.length > 1 ? html`<p class="soft">${summary}:</p>` : NOTHING}${pre(value)}`)}`
}

const pre = (value: unknown): Html =>
  html`<pre tabindex="0"><code>${typeof value === 'string' ? indented(value) : JSON.stringify(value, null, 2)}</code></pre>`

/** XML goes out in one line; people like it in several. */
function indented(text: string): string {
  if (!text.startsWith('<?xml')) return text
  let depth = 0
  const lines = text.match(/<[^>/]+>[^<]*<\/[^>]+>|<[^>]+>/g) ?? []
  return lines
    .map((line) => {
      const closes = line.startsWith('</')
      if (closes) depth -= 1
      const written = '  '.repeat(depth) + line
      if (!closes && !line.startsWith('<?') && !line.endsWith('/>') && !line.includes('</')) depth += 1
      return written
    })
    .join('\n')
}

function callbackArticles(document: OpenApi, shown: readonly Shown[]): readonly Html[] {
  const posts = shown.flatMap(({ operation }) =>
    Object.values(operation.callbacks ?? {}).flatMap((byUrl) => Object.values(byUrl).flatMap(({ post }) => post ?? [])),
  )
  return posts.map((post) => {
    const headers = (post.parameters ?? []).map((one) => parameterOf(document, one))
    const json = post.requestBody?.content['application/json']
    const schema = json === undefined ? {} : schemaOf(document, json.schema)
    return html`<article id="${post.operationId}"><h3>${post.summary}</h3><p>${prose(post.description)}</p><h4>Headers</h4>${parameterTable(headers)}
<h4>Body</h4>${keyTable(schema, 'answer')}${json?.example === undefined ? NOTHING : html`<h4>Example</h4>${pre(json.example)}`}</article>`
  })
}

/** Requests and callbacks have tables of their own. */
const isAnswerPart = (name: string): boolean => !/Request$|^(?:Call|Leg)Callback/.test(name)

const schemaArticle = (name: string, schema: JsonSchema): Html =>
  html`<article id="schema-${name}"><h3>${name}</h3><p>${prose(schema.description ?? '')}</p>${keyTable(schema, 'answer')}</article>`

const anchor = (title: string): string => `about-${title.toLowerCase().replace(/\W+/g, '-')}`
