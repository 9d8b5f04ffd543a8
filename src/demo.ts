/**
 * The demonstration: a real server, three small phones of ours on loopback, and a supervisor who joins their call by HTTP.
 *
 * Its one rule: what it prints about ears is measured in the sound that arrived there, never taken from the server's state.
 */
import { makeHeard, type Ears, sameTable } from './demo-ears.ts'
import { type Cast, openCast } from './demo-cast.ts'
import { curlLine, makeClient } from './demo-client.ts'
import type { Mode } from './domain/leg.ts'

export interface DemoOptions {
  /** End by itself after the script instead of staying up. */
  readonly once: boolean
  /** HTTP port; null takes 8080 when it is free, else any. */
  readonly httpPort: number | null
  readonly print: (line: string) => void
  /** Resolves when the person wants to leave (Ctrl-C). */
  readonly left: Promise<void>
}

/** Longest wait for anything in the script, ms. */
const PATIENCE_MS = 10_000
/** How often the ears are looked at while somebody plays. */
const LOOK_MS = 250

/** What each ear must hear, by whom: the table of docs/hearing.md. */
const EXPECTED: Readonly<Record<Mode | 'alone', Ears>> = {
  alone: { agent: ['customer'], customer: ['agent'], supervisor: [] },
  listen: { agent: ['customer'], customer: ['agent'], supervisor: ['agent', 'customer'] },
  whisper: { agent: ['customer', 'supervisor'], customer: ['agent'], supervisor: ['agent', 'customer'] },
  barge: { agent: ['customer', 'supervisor'], customer: ['agent', 'supervisor'], supervisor: ['agent', 'customer'] },
}

/**
 * Runs the demonstration until its end, or until `left`.
 * @returns The exit code: 0 when every ear heard exactly what it should and the callback came; 1 also when the script was left before its end.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { print, once, left } = options
  print('')
  print('Earshot: a real call on this machine, and a supervisor who joins it')
  print('')
  const cast = await openCast({ httpPort: options.httpPort, print })
  try {
    let gone = false
    const script = playScript(cast, (line) => (gone ? undefined : print(line)))
    const failures = await Promise.race([script, left.then(() => null)])
    gone = true
    if (failures === null) return 1
    print('')
    print(failures === 0 ? 'Every ear heard exactly what it should.' : `${failures} of the checks above failed.`)
    if (once) return failures === 0 ? 0 : 1
    await play(cast, print, left)
    return 0
  } finally {
    await cast.close()
  }
}

/** The whole story once. @returns How many checks failed. */
async function playScript(cast: Cast, print: (line: string) => void): Promise<number> {
  const { api, customerNumber, callbackUrl } = cast
  const client = makeClient(cast, print)
  const heard = makeHeard(cast)
  let failures = 0
  const check = (ok: boolean, line: string): void => {
    if (!ok) failures += 1
    print(`   ${ok ? '✓' : '✗'} ${line}`)
  }
  const listenFor = async (mode: keyof typeof EXPECTED): Promise<void> => {
    const ok = await heard.become(EXPECTED[mode], PATIENCE_MS)
    for (const line of heard.table()) print(`     ${line}`)
    check(ok, ok ? 'measured in the sound that arrived: as it should be' : `the ears should be ${JSON.stringify(EXPECTED[mode])}`)
  }

  print('1. Call the agent, then the customer')
  const call = await client.post(`${api}/Calls/connect.json`, { From: 'client:priya', To: customerNumber, CallerId: cast.callerId })
  const callSid = String(call.Call?.Sid)
  await listenFor('alone')

  print('')
  print('2. A supervisor joins: their phone rings, they pick up and listen')
  const monitor = await client.post(`${api}/Calls/${callSid}/Legs.json`, {
    Action: 'listen',
    PhoneNumber: 'client:boss',
    CustomField: 'demo',
    StatusCallback: callbackUrl,
    StatusCallbackContentType: 'application/json',
    'StatusCallbackEvents[0]': 'terminal',
  })
  const legSid = String(monitor.Leg?.Sid)
  await listenFor('listen')

  let step = 3
  for (const mode of ['whisper', 'barge', 'listen'] as const) {
    print('')
    print(`${step++}. ${WORDS[mode]}`)
    const reply = await client.put(`${api}/Calls/${callSid}/Legs/${legSid}.json`, { Action: mode })
    check(reply.Leg?.LastAction === mode, `answered after ${client.lastMs().toFixed(1)} ms, when the sound had changed`)
    await listenFor(mode)
  }

  print('')
  print(`${step}. Hang up the agent: the call ends for everybody, and the supervisor's leg is called back`)
  const legs = await client.get(`${api}/Calls/${callSid}/ActiveLegs.json`)
  const agentLeg = legs.Legs?.find((leg) => leg.Origin === 'outbound')
  await client.put(`${api}/Calls/${callSid}/Legs/${agentLeg?.Sid}.json`, { Action: 'hangup' })
  const callback = await cast.nextCallback(PATIENCE_MS)
  check(
    callback !== null && callback.body.LegSid === legSid && callback.body.EventType === 'terminal',
    callback ? `callback received: ${JSON.stringify(callback.body)}` : 'no callback came',
  )
  check(callback?.signed === true, 'its signature is right')
  check(await cast.silence(PATIENCE_MS), 'every phone has hung up')
  return failures
}

const WORDS: Readonly<Record<Mode, string>> = {
  whisper: 'Whisper: the agent hears the supervisor, the customer does not',
  barge: 'Barge: everybody hears everybody',
  listen: 'Back to listen: nobody hears the supervisor',
}

/** Stays up with a call in progress; whenever an ear changes, it says so. */
async function play(cast: Cast, print: (line: string) => void, left: Promise<void>): Promise<void> {
  const heard = makeHeard(cast)
  let gone = false
  void left.then(() => {
    gone = true
  })
  while (!gone) {
    const quiet = makeClient(cast, () => {})
    const call = await quiet.post(`${cast.api}/Calls/connect.json`, { From: 'client:priya', To: cast.customerNumber, CallerId: cast.callerId })
    const callSid = String(call.Call?.Sid)
    await heard.become(EXPECTED.alone, PATIENCE_MS)
    for (const line of instructions(cast, callSid)) print(line)
    let before: Ears | null = null
    while (!gone && (await cast.inProgress())) {
      const now = heard.ears()
      if (before === null || !sameTable(before, now)) {
        print('')
        for (const line of heard.table()) print(`     ${line}`)
      }
      before = now
      await Promise.race([left, new Promise((resolve) => setTimeout(resolve, LOOK_MS))])
    }
    if (!gone) print('\nThe call is over. Here is another one.')
  }
}

function instructions(cast: Cast, callSid: string): readonly string[] {
  const { api } = cast
  return [
    '',
    'A call is in progress. In another terminal, join it (the supervisor’s phone picks up by itself):',
    '',
    `  ${curlLine(cast, 'POST', `${api}/Calls/${callSid}/Legs`, { Action: 'listen', PhoneNumber: 'client:boss' })}`,
    `  ${curlLine(cast, 'GET', `${api}/Calls/${callSid}/ActiveLegs.json`, {})}`,
    '',
    'then, with the Sid of the supervisor’s leg in place of LEG (and barge, listen or hangup in place of whisper):',
    '',
    `  ${curlLine(cast, 'PUT', `${api}/Calls/${callSid}/Legs/LEG`, { Action: 'whisper' })}`,
    '',
    `Your own softphone can join too: register it at ${cast.sipAddress} as "guest" with password "guest-guest", and use PhoneNumber=client:guest.`,
    'What changes in anybody’s ear is printed here. Ctrl-C ends. Then: README.md, "Your first own call".',
  ]
}
