/**
 * A supervisor listens to an agent's call, whispers a while, and leaves.
 *
 *   EARSHOT_KEY=… EARSHOT_TOKEN=… node listen.js client:priya client:boss
 *
 * The arguments are the agent, whose live call is looked for, and the supervisor, whose phone rings. Also from the environment:
 * EARSHOT_URL (default http://127.0.0.1:8080), EARSHOT_ACCOUNT (default acme), PAUSE (seconds in each mode, default 10).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Call, EarshotError, makeEarshot } from '@earshot/sdk'

const { EARSHOT_URL = 'http://127.0.0.1:8080', EARSHOT_ACCOUNT = 'acme', EARSHOT_KEY = '', EARSHOT_TOKEN = '', PAUSE = '10' } = process.env
const [agent = 'client:priya', supervisor = 'client:boss'] = process.argv.slice(2)

async function main(): Promise<void> {
  const earshot = makeEarshot({ url: EARSHOT_URL, account: EARSHOT_ACCOUNT, key: EARSHOT_KEY, token: EARSHOT_TOKEN })
  const call = await liveCallOf()
  if (call === null) throw new Error(`${agent} is not in a call`)

  // Without a target, the agent is the one who hears a whisper.
  const leg = await earshot.legs.listen(call.Sid, { PhoneNumber: supervisor })
  console.log(`ringing ${supervisor}, who will listen`)
  await sleep(Number(PAUSE) * 1000)
  await earshot.legs.changeMode(call.Sid, leg.Sid, 'whisper')
  console.log(`${supervisor} whispers to ${agent}`)
  await sleep(Number(PAUSE) * 1000)
  await earshot.legs.hangUp(call.Sid, leg.Sid)
  console.log(`${supervisor} has left`)

  async function liveCallOf(): Promise<Call | null> {
    for await (const each of earshot.calls.list({ From: agent, Status: 'in-progress' })) return each
    return null
  }
}

main().catch((error) => {
  console.error(error instanceof EarshotError ? `${error.code}: ${error.message}` : error)
  process.exitCode = 1
})
