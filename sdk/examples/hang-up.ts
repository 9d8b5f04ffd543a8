/**
 * Ends a call, as a bot does that has nothing more to say: hangs up one party, which ends a call of two for everybody.
 *
 *   EARSHOT_KEY=… EARSHOT_TOKEN=… node hang-up.js CALLSID
 *
 * Also from the environment: EARSHOT_URL (default http://127.0.0.1:8080), EARSHOT_ACCOUNT (default acme).
 */
import { EarshotError, legCan, makeEarshot } from '@earshot/sdk'

const { EARSHOT_URL = 'http://127.0.0.1:8080', EARSHOT_ACCOUNT = 'acme', EARSHOT_KEY = '', EARSHOT_TOKEN = '' } = process.env
const [callSid = ''] = process.argv.slice(2)

async function main(): Promise<void> {
  const earshot = makeEarshot({ url: EARSHOT_URL, account: EARSHOT_ACCOUNT, key: EARSHOT_KEY, token: EARSHOT_TOKEN })
  const party = (await earshot.calls.activeLegs(callSid)).find((leg) => leg.Origin !== 'monitor' && legCan(leg).hangup.allowed)
  if (party) await earshot.legs.hangUp(callSid, party.Sid)
  console.log('hung up')
}

main().catch((error) => {
  // Somebody else was quicker: that is what we wanted.
  if (error instanceof EarshotError && error.code === 'call-not-in-progress') return console.log('the call is over already')
  console.error(error instanceof EarshotError ? `${error.code}: ${error.message}` : error)
  process.exitCode = 1
})
