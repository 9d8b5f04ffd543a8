/** What the flags of several commands have in common. */
import { type Command, InvalidArgumentError } from 'commander'

/** Gives a command the options that all of them have. */
export type Add = (parent: Command, name: string, description: string) => Command

/** What `MAX_LISTED` is, which is not imported for the sake of a help text. */
export const MOST = 100
export const DEFAULT_LIMIT = 20

export const DATABASE_HELP = `
It works beside a running server and without one: then an embedded database is started for as long as it takes.
Numbers, names and addresses are masked (+91*****210, https://host) unless --full is given.
Exit code 0; 1 when something is wrong or not found, in one line on stderr that says what to change.`

/** A number of lines: 1 to `MOST`. */
export function count(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > MOST) throw new InvalidArgumentError(`write a number from 1 to ${MOST}.`)
  return value
}
