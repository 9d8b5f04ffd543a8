/**
 * Prints what happens to the account's calls, as it happens, until Ctrl-C: who rings, answers and leaves, in which mode a supervisor
 * is, and who hears whom.
 *
 *   EARSHOT_KEY=… EARSHOT_TOKEN=… node follow.js [CALL_SID]
 *
 * Also from the environment: EARSHOT_URL (default http://127.0.0.1:8080), EARSHOT_ACCOUNT (default acme).
 */
import { EarshotError, type HearingTable, type LiveEvent, type LiveLeg, makeEarshot } from '@earshot/sdk'

const { EARSHOT_URL = 'http://127.0.0.1:8080', EARSHOT_ACCOUNT = 'acme', EARSHOT_KEY = '', EARSHOT_TOKEN = '' } = process.env
const [CallSid] = process.argv.slice(2)
/** The phones of live legs. */
const phones = new Map<string, string>()

async function main(): Promise<void> {
  const earshot = makeEarshot({ url: EARSHOT_URL, account: EARSHOT_ACCOUNT, key: EARSHOT_KEY, token: EARSHOT_TOKEN })
  const leaving = new AbortController()
  process.once('SIGINT', () => leaving.abort())
  // A connection that is lost is opened again by itself; the signal ends the loop.
  for await (const event of earshot.events({ CallSid, signal: leaving.signal })) for (const line of linesOf(event)) console.log(line)
}

function linesOf(event: LiveEvent): readonly string[] {
  switch (event.kind) {
    case 'snapshot': {
      phones.clear()
      const legs = event.Calls.flatMap((call) => call.Legs)
      const missed = event.Missed === 'true' ? ', and something was missed' : ''
      return [
        `${event.Calls.length} live calls${missed}`,
        ...legs.flatMap(linesOfLeg),
        ...event.Calls.flatMap((call) => linesOfHearing(call.Hearing)),
      ]
    }
    case 'call':
      return [`${event.Call.Sid} ${event.Call.Status}`]
    case 'leg':
      return linesOfLeg(event.Leg)
    case 'mode':
      return [`${phoneOf(event.Mode.LegSid)} ${event.Mode.Action}`]
    case 'hearing':
      return linesOfHearing(event.Hearing)
  }
}

function linesOfLeg({ Sid, PhoneNumber, State }: LiveLeg): readonly string[] {
  if (State === 'ended') phones.delete(Sid)
  else phones.set(Sid, PhoneNumber)
  return [`${PhoneNumber} ${State}`]
}

const linesOfHearing = ({ Ears }: HearingTable): readonly string[] =>
  Ears.map((ear) => {
    const heard = [...ear.Hears.map(({ LegSid }) => phoneOf(LegSid)), ...ear.Sounds.map(({ Name }) => Name)]
    return `  ${'LegSid' in ear ? phoneOf(ear.LegSid) : ear.Tape} hears ${heard.join(', ') || 'nobody'}`
  })

const phoneOf = (legSid: string): string => phones.get(legSid) ?? legSid

main().catch((error) => {
  console.error(error instanceof EarshotError ? `${error.code}: ${error.message}` : error)
  process.exitCode = 1
})
