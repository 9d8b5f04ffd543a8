/**
 * Prints today's calls, the oldest first.
 *
 *   EARSHOT_KEY=… EARSHOT_TOKEN=… node list-today.js
 *
 * Also from the environment: EARSHOT_URL (default http://127.0.0.1:8080), EARSHOT_ACCOUNT (default acme), EARSHOT_ZONE (the
 * account's, default Asia/Kolkata).
 */
import { EarshotError, formatDate, makeEarshot, parseDate } from '@earshot/sdk'

const { EARSHOT_URL = 'http://127.0.0.1:8080', EARSHOT_ACCOUNT = 'acme', EARSHOT_KEY = '', EARSHOT_TOKEN = '' } = process.env
const { EARSHOT_ZONE: zone = 'Asia/Kolkata' } = process.env

async function main(): Promise<void> {
  const earshot = makeEarshot({ url: EARSHOT_URL, account: EARSHOT_ACCOUNT, key: EARSHOT_KEY, token: EARSHOT_TOKEN })
  const midnight = `${formatDate(new Date(), zone).slice(0, 10)} 00:00:00`
  let count = 0
  for await (const call of earshot.calls.list({ DateCreated: { gte: midnight }, SortBy: 'DateCreated:asc' })) {
    // What the API writes has no zone; as a moment it can be shown in anybody's.
    const began = parseDate(call.DateCreated, zone)
    console.log(`${began?.toISOString()}  ${call.Sid}  ${call.Status}  ${call.Duration ?? '-'} s`)
    count++
  }
  console.log(`${count} ${count === 1 ? 'call' : 'calls'}`)
}

main().catch((error) => {
  console.error(error instanceof EarshotError ? `${error.code}: ${error.message}` : error)
  process.exitCode = 1
})
