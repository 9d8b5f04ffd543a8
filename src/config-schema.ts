/**
 * Every key of the configuration, its default and what is said when it is wrong.
 *
 * Its one rule: a message completes the sentence that begins with the key's path, and says what to write instead; it
 * never repeats the value. All values arrive as text (`config-source.ts`).
 */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { z } from 'zod'
import ipaddr from 'ipaddr.js'
import { SCOPES } from './domain/account/rights.ts'
import { DEFAULT_DIAL_LIMITS } from './domain/account/dial-guard.ts'
import { type Money, moneyIn, NO_MONEY } from './domain/account/money.ts'
import { clientAddress, type Address } from './domain/address.ts'
import { TONE_EARS } from './domain/evidence/tones.ts'
import type { AccountId } from './domain/ids.ts'
import { MODES } from './domain/leg.ts'
import { parseAllowRule } from './webhooks/allow-rule.ts'
import { isSecret } from './webhooks/signature.ts'

/** A host and a port that a rule names; port null means every port. */
interface HostRule {
  readonly host: string
  readonly port: number | null
}

const MAX_PORT = 65_535
/** Retries of one callback at most, and the longest wait between two: a week. */
const MAX_RETRIES = 50
const MAX_RETRY_SECONDS = 7 * 24 * 3600
/** Secrets that sign an account's callbacks at most. */
const MAX_SECRETS = 2
/** Entries of one list at most. */
const MAX_ENTRIES = 10_000

/** Of a rate plan, and of any cap on legs, which is 2 at least: a call has two. */
const MAX_PULSE_SECONDS = 3600
const MAX_CAP = 100_000

const E164 = /^\+[1-9]\d{6,14}$/
const NAME = /^[A-Za-z0-9._-]{1,64}$/
const PREFIX = /^\+\d{0,15}$/
const RATE_PREFIX = /^(?:\+\d{0,15}|sip:\S{0,200}|client:[A-Za-z0-9._-]{0,64})$/
const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*$/
const SIP_TARGET = /^sip:(\[[0-9A-Fa-f:.]+\]|[^:@/;?[\]]+)(?::(\d{1,5}))?$/
const SIP_URI = /^sip:(?:[^@\s]+@)?(\[[0-9A-Fa-f:.]+\]|[^:@/;?[\]\s]+)(?::(\d{1,5}))?(?:;transport=(?:udp|tcp))?$/i
const isAbsent = (input: unknown): boolean => input === undefined

/** Text that must be written; `wrong` completes "key …" and ends with an example. */
const text = (example: string) =>
  z.string({
    error: (issue) =>
      isAbsent(issue.input) ? `is missing; write e.g. ${example}` : `must be one value, not a list or section; write e.g. ${example}`,
  })

const integer = (min: number, max: number, example: number) => {
  const wrong = `must be a whole number from ${min} to ${max}; write e.g. ${example}`
  return z
    .string({ error: wrong })
    .regex(/^\d{1,15}$/, { error: wrong, abort: true })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error: wrong })
}

const choice = <const Names extends readonly [string, ...string[]]>(names: Names) =>
  z.enum(names, { error: `must be one of ${names.join(', ')}; write e.g. ${names[0]}` })

const yesOrNo = choice(['true', 'false']).transform((value) => value === 'true')

const list = <Entry extends z.ZodType>(entry: Entry, example: string) =>
  z
    .array(entry, {
      error: (issue) =>
        isAbsent(issue.input)
          ? `is missing; begin its entries with a dash, e.g. ${example}`
          : `must be a list; begin each entry with a dash, e.g. ${example}`,
    })
    .max(MAX_ENTRIES, { error: `may hold at most ${MAX_ENTRIES} entries` })

/**
 * A section. For keys that it does not know the message is the list of names that it does know, separated by spaces;
 * `config.ts` makes a suggestion of it.
 */
const section = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? Object.keys(shape).join(' ') : `must be a section with ${Object.keys(shape).join(', ')} indented below it`,
  })

const host = text('127.0.0.1').refine((value) => isIP(value) !== 0 || HOST_NAME.test(value), {
  error: 'is not an address; write e.g. 127.0.0.1 or 0.0.0.0',
})
const literalHost = (example: string) =>
  text(example)
    .transform((value) => (value === 'localhost' ? '127.0.0.1' : value))
    .refine((value) => isIP(value) !== 0, { error: `must be an IP address, without port or brackets; write e.g. ${example}` })
const reachableHost = literalHost('192.0.2.10').refine((value) => !isWildcard(value), {
  error: 'must be the address that phones can reach, not a wildcard; write e.g. 192.0.2.10',
})

/** Whether an address means "every address of this machine". */
export const isWildcard = (address: string): boolean => address === '0.0.0.0' || /^[0:]+$/.test(address)

const number = text('"+918040000000"')
  .regex(E164, { error: 'must be a number in E.164, with + and country code; write e.g. "+918040000000"' })
  .transform((value) => value as Address)
const name = (example: string) =>
  text(example).regex(NAME, { error: `may hold letters, digits, dot, dash and underscore, at most 64; write e.g. ${example}` })

const accountNumber = z.preprocess(
  (input) => (typeof input === 'string' || input === undefined ? { number: input } : input),
  section({ number, rings: name('priya').transform(clientAddress).nullable().default(null) }),
)

const timeZone = text('Asia/Kolkata').refine(isTimeZone, { error: 'is not an IANA time zone; write e.g. Asia/Kolkata' })

const callbackSecret = text('whsec_…').refine(isSecret, {
  error: 'must be whsec_ and 24 to 64 bytes in base64; make one with: echo "whsec_$(head -c 32 /dev/urandom | base64)"',
})

const scope = choice(['all', ...SCOPES])

const key = section({
  key: text('my-key').regex(/^[^:\s]{1,255}$/, { error: 'may not hold a colon or a space, at most 255 characters; write e.g. my-key' }),
  token: text('${EARSHOT_TOKEN}').regex(/^\S{1,255}$/, { error: 'must be 1 to 255 characters without spaces; write e.g. ${EARSHOT_TOKEN}' }),
  scopes: list(scope, '- calls.read')
    .min(1, { error: 'may not be empty: such a key could do nothing; leave it out for all, or write e.g. [calls.read, monitor.listen]' })
    .default(['all'])
    .transform((written) => SCOPES.filter((known) => written.includes('all') || written.includes(known))),
  agents: list(name('priya'), '- priya')
    .min(1, { error: 'may not be empty: such a key would see no call; leave it out for all, or write e.g. [priya]' })
    .nullable()
    .default(null),
})

const proxy = text('127.0.0.1').refine((value) => ipaddr.isValidCIDR(value) || (isIP(value) !== 0 && !isWildcard(value)), {
  error: 'must be the address or block of a proxy; write e.g. 127.0.0.1 or 10.0.0.0/8',
})
/** One, or two while the receiver changes over: the new one first. */
const callbackSecrets = z.preprocess(
  (input) => (typeof input === 'string' ? [input] : input),
  list(callbackSecret, '- whsec_…').max(MAX_SECRETS, { error: `may hold at most ${MAX_SECRETS}: the new one, then the old one` }),
)
const MAX_TONE_SECONDS = 3600
const MIN_TONE_SECONDS = 5

/** `true` or `false`. */
const flag = choice(['true', 'false']).transform((value) => value === 'true')

const notice = section({
  to: choice(TONE_EARS),
  atEntry: flag.default(true),
  everySeconds: integer(0, MAX_TONE_SECONDS, 15)
    .refine((value) => value === 0 || value >= MIN_TONE_SECONDS, { error: `must be 0 for never, or at least ${MIN_TONE_SECONDS}; write e.g. 15` })
    .default(15),
  modes: list(choice(MODES), '- listen')
    .min(1, { error: 'needs a mode; for silence write to: nobody' })
    .transform((modes) => MODES.filter((mode) => modes.includes(mode)))
    .default([...MODES]),
}).refine(({ to, atEntry, everySeconds }) => to === 'nobody' || atEntry || everySeconds > 0, {
  error: 'never lets a tone sound; if nobody is to be told, write to: nobody',
})

const days = integer(1, 36_500, 90).nullable().default(null)
const dialRule = text('+91').transform((value, context): { readonly prefix: string } | HostRule => {
  if (PREFIX.test(value)) return { prefix: value }
  const rule = sipTarget(value)
  if (rule) return rule
  const instead = value.startsWith('client:')
    ? 'is not needed for phones, which may always be dialled; leave it out'
    : 'must be a prefix with + or a SIP host; write e.g. "+91", sip:127.0.0.1 or sip:[::1]:5060'
  context.addIssue({ code: 'custom', message: instead })
  return z.NEVER
})

/** Numbers and hosts apart, as the rules of the house want them. */
export const dialRules = (allow: readonly ({ readonly prefix: string } | HostRule)[]) => ({
  prefixes: allow.flatMap((rule) => ('prefix' in rule ? [rule.prefix] : [])),
  hosts: allow.flatMap((rule) => ('prefix' in rule ? [] : [rule])),
})

const decimal = (pattern: RegExp, wrong: string, example: string) =>
  text(example)
    .regex(pattern, { error: `must be a decimal with at most six places${wrong}; write e.g. ${example}` })
    .transform((value): Money => moneyIn(value) ?? NO_MONEY)

const rate = section({
  prefix: text('"+91"')
    .regex(RATE_PREFIX, { error: 'must begin with +, sip: or client: as addresses do; write e.g. "+91", "sip:" or "client:"' })
    .nullable()
    .default(null),
  origin: choice(['monitor', 'outbound', 'outbound-dial', 'inbound']).nullable().default(null),
  price: decimal(/^\d{1,6}(?:\.\d{1,6})?$/, ', below a million, without a currency', '0.50'),
})

const plan = section({
  currency: text('INR').regex(/^[A-Z]{3}$/, { error: 'must be the three letters of a currency; write e.g. INR' }),
  pulseSeconds: integer(1, MAX_PULSE_SECONDS, 60).default(60),
  prepaid: yesOrNo.default(false),
  floor: decimal(/^-?\d{1,9}(?:\.\d{1,6})?$/, ', perhaps negative', '-100').default(NO_MONEY),
  rates: list(rate, '- {prefix: "+91", price: 0.50}')
    .min(1, { error: 'needs at least one rate, since nothing else may be dialled; write e.g. - {prefix: "+91", price: 0.50}' })
    .superRefine((rates, context) => {
      rates.forEach((each, index) => {
        const isFirst = rates.findIndex((other) => other.prefix === each.prefix && other.origin === each.origin) === index
        if (!isFirst)
          context.addIssue({ code: 'custom', path: [index], message: 'is for the same prefix and origin as a rate above; keep one of the two' })
      })
    }),
}).transform(({ pulseSeconds, ...rest }) => ({ ...rest, pulseS: pulseSeconds }))

const fence = section({
  allow: list(dialRule, '- "+91"').nullable().default(null),
  maxLegs: integer(2, MAX_CAP, DEFAULT_DIAL_LIMITS.maxLegs).default(DEFAULT_DIAL_LIMITS.maxLegs),
  legsPerMinute: integer(2, MAX_CAP, DEFAULT_DIAL_LIMITS.legsPerMinute).default(DEFAULT_DIAL_LIMITS.legsPerMinute),
  spendPerDay: decimal(/^\d{1,12}(?:\.\d{1,6})?$/, ', without a currency', '5000')
    .nullable()
    .default(null),
}).transform(({ allow, ...caps }) => ({ ...caps, allow: allow && dialRules(allow) }))

const account = section({
  sid: name('mycompany')
    .refine((value) => !value.endsWith('.json'), { error: 'may not end in .json; write e.g. mycompany' })
    .transform((value) => value as AccountId),
  timeZone: timeZone.default('Asia/Kolkata'),
  keys: list(key, '- {key: my-key, token: "${EARSHOT_TOKEN}"}').default([]),
  numbers: list(accountNumber, '- "+918040000000"').default([]),
  agents: list(
    section({ name: name('priya'), password: text('${PRIYA_PASSWORD}').min(1, { error: 'may not be empty; write e.g. ${PRIYA_PASSWORD}' }) }),
    '- {name: priya, password: "${PRIYA_PASSWORD}"}',
  ).default([]),
  maxMonitors: integer(1, 1000, 10).default(10),
  notice: notice.nullable().default(null),
  callbackSecret: callbackSecrets.default([]),
  plan: plan.nullable().default(null),
  dial: fence.prefault({}),
}).superRefine((value, context) => {
  if (value.plan === null && value.dial.spendPerDay !== null)
    context.addIssue({
      code: 'custom',
      path: ['dial', 'spendPerDay'],
      message: 'needs a plan beside dial, which says what things cost; add one, or leave it out',
    })
})

const trunk = section({
  name: name('operator'),
  uri: text('sip:sip.operator.example').refine(isTrunkUri, {
    error: 'must be the SIP address of the operator; write e.g. sip:sip.operator.example:5060',
  }),
  username: text('my-login').nullable().default(null),
  password: text('${TRUNK_PASSWORD}').nullable().default(null),
  register: yesOrNo.default(false),
  numbers: list(number, '- "+918040000000"').default([]),
})

const callbackRule = text('10.0.0.0/8').refine((value) => parseAllowRule(value) !== null, {
  error: 'must be an IP address or block, with or without a port; write e.g. 127.0.0.1, 10.0.0.0/8 or "[fd00::/8]:8443"',
})

/** Whether `data` names a PostgreSQL server; anything else is a folder. */
export const isPostgresUrl = (data: string): boolean => /^postgres(?:ql)?:\/\//.test(data)

const publicUrl = text('https://calls.example.com')
  .refine((value) => URL.parse(value)?.origin === value.replace(/\/$/, '') && /^https?:/.test(value), {
    error: 'must be an address without a path, as callers write it; write e.g. https://calls.example.com',
  })
  .transform((value) => value.replace(/\/$/, ''))

const dataLocation = text('./data').refine(
  (value) => (/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? isPostgresUrl(value) && URL.canParse(value) : value !== ''),
  {
    error: 'must be a folder or a PostgreSQL address; write e.g. ./data or postgres://user:password@host/database',
  },
)

/** The whole file. */
export const configSchema = section({
  engine: z
    .string({ error: 'must be one value; write native' })
    .refine((value) => value !== 'asterisk', { error: 'asterisk is announced, but not available yet; write native', abort: true })
    .pipe(z.literal('native', { error: 'must be native, the only engine so far; write native' }))
    .default('native'),
  http: section({
    host: host.default('127.0.0.1'),
    port: integer(0, MAX_PORT, 8080).default(8080),
    publicUrl: publicUrl.nullable().default(null),
    trustProxy: list(proxy, '- 127.0.0.1').default([]),
  }).prefault({}),
  sip: section({
    host: literalHost('127.0.0.1').default('127.0.0.1'),
    port: integer(0, MAX_PORT, 5060).default(5060),
    advertise: reachableHost.optional(),
  }).prefault({}),
  rtp: section({
    host: literalHost('127.0.0.1').optional(),
    portMin: integer(1024, MAX_PORT, 40_000).default(40_000),
    portMax: integer(1024, MAX_PORT, 49_998).default(49_998),
  }).prefault({}),
  data: dataLocation.prefault('./data'),
  accounts: list(account, '- sid: mycompany').min(1, { error: 'needs at least one account; begin with: - sid: mycompany' }),
  trunks: list(trunk, '- name: operator').default([]),
  dial: section({ allow: list(dialRule, '- "+91"').default([]) }).prefault({}),
  callbacks: section({
    allow: list(callbackRule, '- 10.0.0.0/8').default([]),
    retrySeconds: list(integer(1, MAX_RETRY_SECONDS, 60), '- 60')
      .max(MAX_RETRIES, { error: `may hold at most ${MAX_RETRIES} waits` })
      .default([5, 60, 300, 900, 3600, 21_600]),
  }).prefault({}),
  recordings: section({
    folder: text('./recordings').min(1, { error: 'may not be empty; write e.g. ./recordings' }).default('./recordings'),
  }).prefault({}),
  limits: section({
    writesPerMinute: integer(1, 1_000_000, 200).default(200),
    readsPerMinute: integer(1, 10_000_000, 1200).default(1200),
    requestsPerMinute: integer(1, 100_000_000, 6000).default(6000),
    failuresPerMinute: integer(1, 1_000_000, 10).default(10),
  }).prefault({}),
  retention: section({ callsDays: days, auditPersonalDays: days, callbacksDays: days, recordingsDays: days }).prefault({}),
  metrics: section({ host: host.default('127.0.0.1'), port: integer(0, MAX_PORT, 9464).default(9464) })
    .nullable()
    .default(null),
  log: section({ level: choice(['debug', 'info', 'warn', 'error']).default('info') }).prefault({}),
})

function isTimeZone(value: string): boolean {
  // Offsets such as +05:30 are zones for Intl, but have no name and no history.
  if (!/^[A-Za-z]/.test(value)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: value })
    return true
  } catch {
    return false
  }
}

function hostRule(match: RegExpExecArray | null): HostRule | null {
  const written = match?.[1]
  if (written === undefined) return null
  const bare = written.replace(/^\[|\]$/g, '').toLowerCase()
  const port = match?.[2] === undefined ? null : Number(match[2])
  const hostFits = written.startsWith('[') ? isIPv6(bare) : isIPv4(bare) || HOST_NAME.test(bare)
  return hostFits && (port === null || (port >= 1 && port <= MAX_PORT)) ? { host: bare, port } : null
}

const sipTarget = (value: string): HostRule | null => hostRule(SIP_TARGET.exec(value))

function isTrunkUri(value: string): boolean {
  return hostRule(SIP_URI.exec(value)) !== null
}
