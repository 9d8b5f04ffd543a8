/** HTML out of values: whatever is put into a template is escaped, unless it is HTML already. */
export interface Html {
  readonly html: string
}

export type HtmlValue = string | number | Html | readonly Html[]

/** @example html`<td>${text}</td>` */
export const html = (parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html => ({
  html: parts.map((part, n) => part + (n < values.length ? written(values[n] ?? '') : '')).join(''),
})

export const NOTHING: Html = { html: '' }

/** A sentence with `code` in backticks. */
export const prose = (text: string): Html => ({
  html: text
    .split('`')
    .map((part, n) => (n % 2 === 0 ? escaped(part) : `<code>${escaped(part)}</code>`))
    .join(''),
})

function written(value: HtmlValue): string {
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return escaped(value)
  return 'html' in value ? value.html : value.map((one) => one.html).join('')
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
