/**
 * baresip, an independent SIP phone, as a person at the other end: it registers, dials, answers, holds, hums a tone, and
 * records what it hears into a WAV file that a Goertzel filter judges.
 *
 * What it hears is known until the first re-INVITE only: then its player begins anew, without the recorder.
 *
 * Controlled by its JSON over TCP (module ctrl_tcp, netstrings). No sound card: the tone is a file, sound goes to `aubridge`.
 */
import { createSocket } from 'node:dgram'
import { mkdtemp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FLOOR_DB, powerDb, sine } from '../../src/media/tone.ts'
import { TRACE_DB, type Verdict, verdict } from '../../src/phone/ear.ts'
import { eventually } from '../eventually.ts'
import { freePort } from '../free-port.ts'
import { run } from './peers.ts'

export interface BaresipOptions {
  readonly name: string
  readonly toneHz: number
  /** Best first. */
  readonly laws: readonly ('pcmu' | 'pcma')[]
  readonly answers: 'auto' | 'manual'
  /** Null: it stays unregistered and is dialled at its own address. */
  readonly registrar: { readonly host: string; readonly port: number; readonly password: string; readonly transport?: 'udp' | 'tcp' } | null
}

export interface BaresipEvent {
  readonly type: string
  readonly param: string
}

export interface Baresip {
  /** Where it can be dialled directly. */
  readonly uri: string
  readonly events: readonly BaresipEvent[]
  /** A command of its menu. @throws Error when it says no, or nothing for some seconds. */
  command(command: string, params?: string): Promise<string>
  /** Waits for an event after the ones that were there at the last call of `forgetEvents`. */
  happens(type: string): Promise<BaresipEvent>
  forgetEvents(): void
  /** Listens from now on for that long and says how loud each tone was, dB; what did not arrive counts as silence. */
  listenFor(ms: number, tonesHz: readonly number[]): Promise<ReadonlyMap<number, number>>
  /** The tones that it hears, judged in short windows until two agree with `wanted`. @throws Error with what it heard. */
  hears(wanted: readonly number[], tonesHz: readonly number[]): Promise<void>
  /** The tones of which there is a trace anywhere in the recording. */
  everHeard(tonesHz: readonly number[]): Promise<readonly number[]>
  /** Sends a key by RFC 4733. */
  press(key: string): Promise<void>
  output(): string
  stop(): Promise<void>
}

/** It is ended after this time whatever happens, ms. */
const LIMIT_MS = 60_000
const COMMAND_MS = 4_000
const SAMPLE_RATE_HZ = 8_000
/** Long enough to tell the tones apart, short enough for many of them. */
const WINDOW_MS = 300
const WINDOWS = 12

export async function startBaresip(options: BaresipOptions): Promise<Baresip> {
  const folder = await mkdtemp(join(tmpdir(), `earshot-baresip-${options.name}-`))
  const recordings = join(folder, 'rec')
  const [sipPort, controlPort, keysPort, rtpPort] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const tone = join(folder, 'tone.wav')
  await mkdir(recordings)
  await writeFile(tone, toneFile(options.toneHz))
  await writeFile(join(folder, 'config'), configuration({ options, recordings, tone, sipPort, controlPort, keysPort, rtpPort }))
  await writeFile(join(folder, 'accounts'), `${account(options, sipPort)}\n`)
  await writeFile(join(folder, 'contacts'), '')
  // `-t`: it ends by itself, even when nobody is left to end it.
  const running = run('baresip', ['-4', '-f', folder, '-t', String(LIMIT_MS / 1000)], { cwd: folder, limitMs: LIMIT_MS })
  const giveUp = async (cause: unknown): Promise<never> => {
    await running.stop()
    await rm(folder, { recursive: true, force: true })
    throw new Error(`baresip did not start:\n${running.output()}`, { cause })
  }
  const control = await eventually('baresip listens', () => tryConnect(controlPort)).catch(giveUp)
  const events: BaresipEvent[] = []
  let firstNew = 0
  const replies = new Map<string, (reply: { readonly ok: boolean; readonly data: string }) => void>()
  let lastToken = 0
  readNetstrings(control, (text) => {
    const message = JSON.parse(text) as Record<string, unknown>
    if (message.event === true) events.push({ type: String(message.type), param: String(message.param ?? '') })
    else replies.get(String(message.token))?.({ ok: message.ok === true, data: String(message.data ?? '') })
  })

  const command: Baresip['command'] = async (name, params = '') => {
    const token = String(++lastToken)
    const text = JSON.stringify({ command: name, params, token })
    const reply = new Promise<{ readonly ok: boolean; readonly data: string }>((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`baresip says nothing to ${name}`)), COMMAND_MS)
      replies.set(token, (said) => {
        clearTimeout(limit)
        resolve(said)
      })
    })
    control.write(`${Buffer.byteLength(text)}:${text},`)
    const { ok, data } = await reply
    replies.delete(token)
    if (!ok) throw new Error(`baresip refuses ${name} ${params}: ${data}`)
    return data
  }
  const listenFor: Baresip['listenFor'] = async (ms, tonesHz) => {
    const before = await recorded(recordings)
    await sleep(ms)
    const sound = (await recorded(recordings)).subarray(before.length)
    return levelsOf(sound, tonesHz, (ms * SAMPLE_RATE_HZ) / 1000)
  }
  return {
    uri: `sip:${options.name}@127.0.0.1:${sipPort}`,
    events,
    command,
    listenFor,
    happens: (type) =>
      eventually(
        `baresip ${options.name}: ${type} among ${events
          .slice(firstNew)
          .map((event) => event.type)
          .join(', ')}`,
        () => events.slice(firstNew).find((event) => event.type === type) ?? null,
      ),
    forgetEvents() {
      firstNew = events.length
    },
    async hears(wanted, tonesHz) {
      let heard = ''
      let agreed = 0
      for (let window = 0; window < WINDOWS && agreed < 2; window++) {
        heard = spell(await listenFor(WINDOW_MS, tonesHz))
        agreed = heard === spell(new Map(wanted.map((hz) => [hz, 0]))) ? agreed + 1 : 0
      }
      if (agreed < 2) throw new Error(`baresip ${options.name} should hear ${wanted.join('+') || 'silence'}, hears ${heard || 'silence'}`)
    },
    async everHeard(tonesHz) {
      const sound = await recorded(recordings)
      const step = SAMPLE_RATE_HZ / 10
      const found = new Set<number>()
      for (let start = 0; start < sound.length; start += step / 2) {
        for (const [hz, level] of levelsOf(sound.subarray(start, start + step), tonesHz, step)) if (level > TRACE_DB) found.add(hz)
      }
      return tonesHz.filter((hz) => found.has(hz))
    },
    async press(key) {
      const socket = createSocket('udp4')
      await new Promise<void>((resolve) => socket.send(key, keysPort, '127.0.0.1', () => resolve()))
      socket.close()
    },
    output: () => running.output(),
    async stop() {
      control.destroy()
      await running.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const spell = (levels: ReadonlyMap<number, number>): string => {
  const judged = [...levels].map(([hz, level]): readonly [number, Verdict] => [hz, verdict(level)])
  return judged
    .filter(([, said]) => said !== 'silent')
    .sort(([a], [b]) => a - b)
    .map(([hz, said]) => (said === 'heard' ? `${hz}` : `${hz}?`))
    .join('+')
}

interface Places {
  readonly options: BaresipOptions
  readonly recordings: string
  readonly tone: string
  readonly sipPort: number
  readonly controlPort: number
  readonly keysPort: number
  readonly rtpPort: number
}

function configuration({ options, recordings, tone, sipPort, controlPort, keysPort, rtpPort }: Places): string {
  const lines = [
    'poll_method epoll',
    `sip_listen 127.0.0.1:${sipPort}`,
    `sip_trans_def ${options.registrar?.transport ?? 'udp'}`,
    // An address: for `lo` baresip 1.0.0 finds no IPv4 address.
    'net_interface 127.0.0.1',
    // A file, not the module `ausine`: that hums so loud that three of them clip.
    `audio_source aufile,${tone}`,
    'audio_player aubridge,null',
    'audio_alert aubridge,null',
    'ausrc_srate 8000',
    'ausrc_channels 1',
    'auplay_srate 8000',
    'auplay_channels 1',
    'ausrc_format s16',
    'auplay_format s16',
    'auenc_format s16',
    'audec_format s16',
    'audio_path /usr/share/baresip',
    // It takes an even port and the odd one after it.
    `rtp_ports ${rtpPort - (rtpPort % 2)}-${rtpPort - (rtpPort % 2) + 8}`,
    'rtcp_mux no',
    'jitter_buffer_delay 5-10',
    'rtp_timeout 30',
    'module_path /usr/lib/baresip/modules',
    ...['g711', 'aufile', 'aubridge', 'sndfile', 'cons'].map((name) => `module ${name}.so`),
    'module_tmp account.so',
    'module_app menu.so',
    'module_app ctrl_tcp.so',
    `ctrl_tcp_listen 127.0.0.1:${controlPort}`,
    `cons_listen 127.0.0.1:${keysPort}`,
    `snd_path ${recordings}`,
  ]
  return `${lines.join('\n')}\n`
}

function account({ name, laws, answers, registrar }: BaresipOptions, sipPort: number): string {
  const common = `answermode=${answers};audio_codecs=${laws.map((law) => `${law.toUpperCase()}/8000/1`).join(',')}`
  if (registrar === null) return `<sip:${name}@127.0.0.1:${sipPort}>;regint=0;${common}`
  const { host, port, password, transport = 'udp' } = registrar
  return `<sip:${name}@${host}:${port};transport=${transport}>;auth_user=${name};auth_pass=${password};regint=60;${common}`
}

function tryConnect(port: number): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(socket))
    socket.on('error', () => resolve(null))
  })
}

/** `N:text,` again and again. */
function readNetstrings(socket: Socket, take: (text: string) => void): void {
  let pending = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    for (;;) {
      const colon = pending.indexOf(':')
      const length = Number(pending.toString('latin1', 0, Math.max(0, colon)))
      if (colon < 0 || pending.length < colon + length + 2) return
      take(pending.toString('utf8', colon + 1, colon + 1 + length))
      pending = pending.subarray(colon + length + 2)
    }
  })
}

const WAV_HEADER_BYTES = 44

/** What was heard, oldest first; each call has a file of its own. */
async function recorded(folder: string): Promise<Int16Array> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('-dec.wav')).sort()
  // The files grow while they are read, so the lengths in their headers are not asked.
  const sounds = await Promise.all(names.map(async (name) => (await readFile(join(folder, name))).subarray(WAV_HEADER_BYTES)))
  const bytes = Buffer.concat(sounds.map((sound) => sound.subarray(0, sound.length & ~1)))
  return Int16Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readInt16LE(index * 2))
}

/** A tone at the level of our own phones, as a WAV file (8 kHz, 16 bits, mono). */
function toneFile(hz: number): Buffer {
  const samples = sine(hz, (LIMIT_MS * SAMPLE_RATE_HZ) / 1000)
  const data = Buffer.from(samples.buffer)
  const header = Buffer.alloc(WAV_HEADER_BYTES)
  header.write('RIFF')
  header.writeUInt32LE(data.length + 36, 4)
  header.write('WAVEfmt ', 8)
  for (const [at, value] of [
    [16, 16],
    [24, SAMPLE_RATE_HZ],
    [28, SAMPLE_RATE_HZ * 2],
  ] as const)
    header.writeUInt32LE(value, at)
  for (const [at, value] of [
    [20, 1],
    [22, 1],
    [32, 2],
    [34, 16],
  ] as const)
    header.writeUInt16LE(value, at)
  header.write('data', 36)
  header.writeUInt32LE(data.length, 40)
  return Buffer.concat([header, data])
}

function levelsOf(sound: Int16Array, tonesHz: readonly number[], wanted: number): ReadonlyMap<number, number> {
  const share = Math.min(1, sound.length / wanted)
  return new Map(tonesHz.map((hz) => [hz, share === 0 ? FLOOR_DB : powerDb(sound, hz) + 20 * Math.log10(share)]))
}
