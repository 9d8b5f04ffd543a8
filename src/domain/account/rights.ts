/**
 * Who asks, and what they may. Deny by default: a right that is not in the list is not there.
 *
 * A key may be limited to named agents: calls in which none of them takes part are, to that key, not there.
 */
import { type Address, clientAddress } from '../address.ts'
import type { Call } from '../call.ts'
import { DomainError } from '../errors.ts'
import type { AccountId, KeyId } from '../ids.ts'
import { isConversation, type Mode } from '../leg.ts'

export const SCOPES = [
  'calls.read',
  'calls.create',
  'monitor.listen',
  'monitor.whisper',
  'monitor.barge',
  'legs.hangup',
  'usage.read',
  'accounts.admin',
] as const
/** One right. Each is worth only what its name says: whoever may barge may not therefore listen. */
export type Scope = (typeof SCOPES)[number]

/** Somebody who has proved who they are, whatever way they came. */
export interface Principal {
  readonly accountId: AccountId
  /** By which key; what a log and the audit say. */
  readonly keyId: KeyId
  readonly scopes: readonly Scope[]
  /** Names of the account's phones, without `client:`; null: no limit. */
  readonly agents: readonly string[] | null
}

export const scopeOfMode = (mode: Mode): Scope => `monitor.${mode}`

/** @throws {DomainError} right-missing */
export function assertMay(who: Principal, scope: Scope): void {
  if (!who.scopes.includes(scope)) throw new DomainError('right-missing', scope)
}

/** The phones of which one must take part in a call for it to be there; null: every call of the account is. */
export const reachOf = ({ agents }: Pick<Principal, 'agents'>): readonly Address[] | null => agents?.map(clientAddress) ?? null

/** For what tells of all calls of the account. @throws {DomainError} right-missing for a key that is limited to agents */
export function assertUnlimited(who: Principal): void {
  if (who.agents !== null) throw new DomainError('right-missing', 'of a key that is not limited to agents')
}

/** Whether a call in which these take part is there for them. */
export function reachesAny(who: Principal, addresses: readonly Address[]): boolean {
  const reach = reachOf(who)
  return reach === null || reach.some((phone) => addresses.includes(phone))
}

/** Whether the call is there for them at all: their account's, and within the key's limit. */
export const maySee = (who: Principal, call: Call): boolean =>
  call.accountId === who.accountId && reachesAny(who, [call.from, call.to, ...call.legs.filter(isConversation).map((leg) => leg.address)])
