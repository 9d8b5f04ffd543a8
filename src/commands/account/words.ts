/** What the configuration says of an account, in words that need no knowledge of its keys. */
import type { AccountConfig } from '../../config.ts'
import type { DialRules } from '../../domain/account/account.ts'
import type { DialLimits } from '../../domain/account/dial-guard.ts'
import type { RatePlan } from '../../domain/account/rating.ts'
import { MODES } from '../../domain/leg.ts'

type Notice = AccountConfig['notice']

/** For a column. */
export function noticeInShort(notice: Notice): string {
  if (notice === null) return 'no: no notice'
  return notice.to === 'nobody' ? 'yes, silent' : `yes, tone to ${notice.to}`
}

/** Whether its calls may be monitored, and who is told how. */
export function noticeInWords(notice: Notice): string {
  if (notice === null)
    return 'not possible: nobody has decided whether the parties are told; write notice: { to: both } for tones, or notice: { to: nobody }'
  if (notice.to === 'nobody') return 'possible, and nobody is told: no tone sounds (notice.to is nobody)'
  const ears = { agent: 'the agent hears', customer: 'the customer hears', both: 'agent and customer hear' }[notice.to]
  const moments = [
    ...(notice.atEntry ? ['when a supervisor comes in'] : []),
    ...(notice.everySeconds > 0 ? [`every ${notice.everySeconds} s while one is on`] : []),
  ]
  const modes = notice.modes.length === MODES.length ? 'in any mode' : `in ${notice.modes.join(' and ')} alone`
  return `possible; ${ears} a tone ${moments.join(' and ')}, ${modes}`
}

/** For a column; empty without a plan. */
export const planInShort = (plan: RatePlan | null): string =>
  plan === null
    ? ''
    : `${plan.currency}, ${plan.pulseS} s, ${plan.rates.length} ${plan.rates.length === 1 ? 'rate' : 'rates'}${plan.prepaid ? ', prepaid' : ''}`

export function planInWords(plan: RatePlan | null): string {
  if (plan === null) return 'none: its legs are not charged'
  const money = plan.prepaid ? `prepaid: calls end when the balance is used up down to ${plan.floor}` : 'not prepaid: the balance ends no call'
  return `${plan.currency} for each pulse of ${plan.pulseS} s that has begun; ${money}`
}

/** For a column. */
export const capsInShort = ({ maxLegs, legsPerMinute, spendPerDay }: DialLimits): string =>
  `${maxLegs} legs, ${legsPerMinute}/min${spendPerDay === null ? '' : `, ${spendPerDay}/day`}`

export function capsInWords({ maxLegs, legsPerMinute, spendPerDay }: DialLimits, maxMonitors: number): string {
  const spend = spendPerDay === null ? 'no cap on a day’s spend' : `${spendPerDay} a day`
  return `${maxLegs} legs at once, ${legsPerMinute} dialled a minute, ${spend}, ${maxMonitors} supervisors on a call`
}

/** What it may dial: the operator's rules for all, narrowed by its own. */
export function destinationsInWords(rules: DialRules, own: DialRules | null): string {
  const all = destinations(rules)
  const phones = 'its own phones'
  if (all.length === 0) return `${phones} only: dial.allow names nothing`
  const allowed = `${phones}; ${all.join(', ')}`
  if (own === null) return allowed
  const narrower = destinations(own)
  return narrower.length === 0
    ? `${phones} only: its own dial.allow is empty`
    : `${allowed}, and of these only what its own list allows: ${narrower.join(', ')}`
}

/** As they are written in the configuration. */
export const destinations = ({ prefixes, hosts }: DialRules): readonly string[] => [
  ...prefixes,
  ...hosts.map(({ host, port }) => `sip:${host.includes(':') ? `[${host}]` : host}${port === null ? '' : `:${port}`}`),
]
