/** The rights that an operation takes: a sentence for people, and what machines read. */
import type { DescribedRoute } from '../operations/operation.ts'
import type { OperationObject } from './types.ts'

type Scopes = DescribedRoute['scope']
type Fixed = string | readonly string[] | null

const isFixed = (scope: Scopes): scope is Extract<Scopes, Fixed> => scope === null || typeof scope === 'string' || Array.isArray(scope)

export function rightsSentence(scope: Scopes): string {
  if (!isFixed(scope)) {
    const each = Object.entries(scope).map(([action, one]) => `\`${one}\` for \`${action}\``)
    return `Takes the right of its \`Action\`: ${each.join(', ')}.`
  }
  const names = [scope ?? []].flat().map((one) => `\`${one}\``)
  if (names.length === 0) return 'Takes no right: any key of the account will do.'
  return `Takes the right${names.length > 1 ? 's' : ''} ${names.join(' and ')}.`
}

/**
 * OpenAPI 3.1 lets a requirement name roles, all of them needed; several requirements are alternatives, which is as near as it comes to a
 * right that depends on `Action`. `x-scopes` says it exactly.
 */
export function accessOf(scope: Scopes): Pick<OperationObject, 'security' | 'x-scopes'> {
  if (isFixed(scope)) return { security: [{ ApiKey: [scope ?? []].flat() }], 'x-scopes': [scope ?? []].flat() }
  return { security: Object.values(scope).map((one) => ({ ApiKey: [one] })), 'x-scopes': scope }
}
