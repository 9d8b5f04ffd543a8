/**
 * Which server a command talks to, and as whom: from the flags, the environment and the configuration, in this order.
 *
 * Its one rule: the configuration is only read when something is missing, so that a supervisor's machine needs none.
 */
import type { Config } from '../../config.ts'
import { isWildcard } from '../../config-schema.ts'
import { type Desk, plain } from '../desk.ts'

/** What a command that stays needs beside the desk. */
export interface Terminal extends Desk {
  /** Calls back at every SIGINT and SIGTERM until the returned function is called. */
  readonly onSignal: (listener: () => void) => () => void
  /** Calls back when nobody reads stdout any more. */
  readonly onUnread?: (listener: () => void) => void
  readonly environment: () => Promise<Readonly<Record<string, string | undefined>>>
}

export interface AccessOptions {
  readonly config: string
  readonly url?: string
  readonly account?: string
  readonly key?: string
  readonly token?: string
}

export interface ServerAccess {
  /** Without a slash at its end. */
  readonly url: string
  readonly account: string
  readonly key: string
  readonly token: string
  /** What to do when nobody answers there. */
  readonly advice: string
}

/** What is wrong, with what to write instead, line by line. */
export type Wrong = readonly string[]

export async function serverAccess(terminal: Terminal, options: AccessOptions): Promise<ServerAccess | Wrong> {
  const environment = await terminal.environment()
  const given = {
    account: options.account,
    key: options.key ?? (environment.EARSHOT_KEY || undefined),
    token: options.token ?? (environment.EARSHOT_TOKEN || undefined),
  }
  const url = options.url === undefined ? undefined : urlIn(options.url)
  if (url === null) return ['--url is no address of a server; write e.g. --url http://127.0.0.1:8080']
  const { account, key, token } = given
  const advice = `start it with earshot serve --config ${options.config}, or say with --url where it is`
  if (url !== undefined && account !== undefined && key !== undefined && token !== undefined)
    return checked(terminal, { url, account, key, token, advice })
  const config = await terminal.read(options.config)
  if (!('data' in config)) {
    const missing = [url ?? '--url', account ?? '--account', key ?? 'EARSHOT_KEY', token ?? 'EARSHOT_TOKEN'].filter((word) =>
      /^(?:--|EARSHOT)/.test(word),
    )
    return [...config, `or write ${missing.join(', ')}: then no configuration is needed`]
  }
  const where = url ?? configuredUrl(config)
  if (where === null) return [`http.port in ${options.config} is 0, which is any free port; say with --url where the server is`]
  const whom = whomIn(config, given, options.config)
  return typeof whom === 'string' ? [whom] : checked(terminal, { url: where, ...whom, advice })
}

export const isAccess = (found: ServerAccess | Wrong): found is ServerAccess => 'url' in found

/** As it listens; a wildcard is reached by loopback. Null: any free port, which nobody knows here. */
export function configuredUrl({ http: { host, port, publicUrl } }: Pick<Config, 'http'>): string | null {
  if (publicUrl !== null) return publicUrl.replace(/\/+$/, '')
  if (port === 0) return null
  return `http://${isWildcard(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host}:${port}`
}

/** A path is kept, for servers behind a proxy; a login, a query or another protocol is not ours. */
function urlIn(text: string): string | null {
  if (!URL.canParse(text)) return null
  const url = new URL(text)
  const isOurs = /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
  return isOurs ? `${url.origin}${url.pathname}`.replace(/\/+$/, '') : null
}

type Whom = Pick<ServerAccess, 'account' | 'key' | 'token'>

/** @returns What is wrong, as a sentence. */
function whomIn(config: Config, given: { readonly [Field in keyof Whom]: Whom[Field] | undefined }, file: string): Whom | string {
  const sids = config.accounts.map(({ sid }) => sid)
  const sid = given.account ?? (sids.length === 1 ? sids[0] : undefined)
  const named = `there are: ${sids.slice(0, 20).join(', ')}`
  if (sid === undefined) return `which account? Write --account SID; ${named}`
  const { key, token } = given
  if (key !== undefined && token !== undefined) return { account: sid, key, token }
  const account = config.accounts.find((each) => each.sid === sid)
  if (!account) return `no account ${plain(sid)} in ${file}; ${named}`
  // A token alone is often there for the sake of the configuration, which takes it from the environment.
  const found = account.keys.find((each) => (key ?? each.key) === each.key && (token ?? each.token) === each.token)
  if (found) return { account: sid, key: found.key, token: found.token }
  if (key !== undefined) return `the token of key ${plain(key)} is not in ${file}; write it into EARSHOT_TOKEN (earshot keys rotate makes another)`
  if (token !== undefined) return `no key of account ${sid} in ${file} has that token; write the key that it belongs to: --key KEY, or EARSHOT_KEY`
  return `account ${sid} has no key in ${file}; set EARSHOT_KEY and EARSHOT_TOKEN (earshot keys create --account ${sid} makes them)`
}

/** HTTP Basic has no colon in a user, and headers no characters beyond Latin-1. */
function checked(terminal: Terminal, access: ServerAccess): ServerAccess | Wrong {
  if (!/^[\x21-\x39\x3b-\x7e]+$/.test(access.key)) return ['a key has neither a colon nor a space; earshot keys list shows those that there are']
  if (!/^[\x21-\x7e]+$/.test(access.token)) return ['a token has no space and no letter beyond ASCII; look at EARSHOT_TOKEN or --token']
  const { protocol, hostname } = new URL(access.url)
  if (protocol === 'http:' && !/^(?:127\.[\d.]+|\[::1\]|localhost)$/.test(hostname))
    terminal.err(`note: the token goes to ${hostname} unencrypted; use https outside of networks that you trust`)
  return access
}
