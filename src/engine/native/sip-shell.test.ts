/** The shell against raw sockets: TCP framing and limits, keep-alives, failures, and bugs of ours. Time is a variable; only sockets are waited for. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, createServer, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { NO_BODY } from '../../sip/message.ts'
import { type Hop, makeUserAgent, type UaEvent, type UserAgent } from '../../sip/user-agent.ts'
import { IDLE_MS, isUnspecified, makeSipShell, outerAddress, PATIENCE_MS, type SipShell, withinTime } from './sip-shell.ts'

const HOST = '127.0.0.1'
const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

async function until(what: string, look: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 5000; performance.now() < deadline; await sleep(5)) if (look()) return
  assert.fail(`waited in vain: ${what}`)
}

interface Bench {
  readonly shell: SipShell
  readonly port: number
  readonly events: UaEvent[]
  readonly closed: Hop[]
  readonly errors: string[]
  /** Added to the clock. */
  aheadMs: number
  isNeeded: boolean
  onEvent: (event: UaEvent) => void
}

let tokens = 0
async function bench(wrap: (agent: UserAgent) => UserAgent = (agent) => agent, host = HOST): Promise<Bench> {
  const events: UaEvent[] = []
  const closed: Hop[] = []
  const errors: string[] = []
  const state = { aheadMs: 0, isNeeded: false, onEvent: (_event: UaEvent): void => {} }
  const shell = makeSipShell({
    host,
    port: 0,
    now: () => Date.now() + state.aheadMs,
    admit: () => true,
    isNeeded: () => state.isNeeded,
    onFlowClosed: (flow) => closed.push(flow),
    onEvent(event) {
      events.push(event)
      state.onEvent(event)
    },
    log: { info: () => {}, warn: () => {}, error: (_, message) => errors.push(message) },
    makeAgent: (advertised) =>
      wrap(
        makeUserAgent({
          advertised,
          token: () => `token${++tokens}aaaaaaaa`,
          hash: (algorithm, text) => createHash(algorithm).update(text).digest('hex'),
          product: 'x',
        }),
      ),
  })
  await shell.open()
  open.push(() => shell.close())
  return Object.assign(state, { shell, port: shell.advertised().port, events, closed, errors })
}

interface Peer {
  readonly socket: Socket
  readonly heard: () => string
  readonly isClosed: () => boolean
}

async function peer(port: number): Promise<Peer> {
  const socket = connect(port, HOST)
  let heard = ''
  let isClosed = false
  socket.on('data', (chunk) => {
    heard += chunk.toString()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    isClosed = true
  })
  await new Promise((done) => socket.once('connect', done))
  open.push(() => socket.destroy())
  return { socket, heard: () => heard, isClosed: () => isClosed }
}

const options = (branch: string): string =>
  `OPTIONS sip:x@${HOST} SIP/2.0\r\nVia: SIP/2.0/TCP ${HOST}:9;branch=z9hG4bK${branch}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x@b>\r\nCall-ID: ${branch}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\nContent-Length: 0\r\n\r\n`

const answerAll = (it: Bench): void => {
  it.onEvent = (event) => {
    if (event.kind === 'request') it.shell.drive((agent, now) => agent.respond(event.transaction, 200, [], NO_BODY, now))
  }
}

test('a response goes back over its connection, wherever the messages were cut', async () => {
  const it = await bench()
  answerAll(it)
  const { socket, heard } = await peer(it.port)
  const both = options('one') + options('two')
  for (let at = 0; at < both.length; at += 37) socket.write(both.slice(at, at + 37))
  await until('two answers', () => (heard().match(/SIP\/2\.0 200/g) ?? []).length === 2)
  assert.deepEqual(it.errors, [])
})

test('a ping is answered with a pong', async () => {
  const it = await bench()
  const { socket, heard } = await peer(it.port)
  socket.write('\r\n\r\n')
  await until('pong', () => heard() === '\r\n')
})

test('a stream that cannot be read on is closed, and the house is told which', async () => {
  const it = await bench()
  const { socket, isClosed } = await peer(it.port)
  const { localPort } = socket
  socket.write('OPTIONS sip:x SIP/2.0\r\nContent-Length: 99999999\r\n\r\n')
  await until('closed', isClosed)
  await until('told', () => it.closed.length === 1)
  assert.deepEqual(it.closed, [{ transport: 'tcp', host: HOST, port: localPort }])
})

test('who dribbles a message, or says nothing at all, is cut off; who finished one is not', async () => {
  const it = await bench()
  answerAll(it)
  const [dribbling, mute, good] = [await peer(it.port), await peer(it.port), await peer(it.port)]
  dribbling.socket.write(options('a') + options('b').slice(0, 30))
  good.socket.write(options('c'))
  await until('answers', () => dribbling.heard() !== '' && good.heard() !== '')
  it.aheadMs += PATIENCE_MS + 1000
  dribbling.socket.write('x')
  await until('cut off', () => dribbling.isClosed() && mute.isClosed())
  assert.equal(good.isClosed(), false)
})

test('an idle connection is closed unless somebody is reached over it', async () => {
  const it = await bench()
  answerAll(it)
  it.isNeeded = true
  const { socket, heard, isClosed } = await peer(it.port)
  socket.write(options('a'))
  await until('an answer', () => heard() !== '')
  it.aheadMs += IDLE_MS + 1000
  await sleep(1200)
  assert.equal(isClosed(), false)
  it.isNeeded = false
  await until('closed', isClosed)
})

const invite = (agent: UserAgent, to: Hop, now: number) =>
  agent.invite({ uri: 'sip:x@y', to, fromHeader: '<sip:a@b>', toHeader: '<sip:x@y>', body: NO_BODY, credentials: null, route: [], headers: [] }, now)

test('a TCP peer that is not there fails the call at once', async () => {
  const it = await bench()
  const vacant = createServer()
  await new Promise<void>((done) => vacant.listen(0, HOST, done))
  const { port } = vacant.address() as { port: number }
  await new Promise((done) => vacant.close(done))
  const sent = it.shell.drive((agent, now) => invite(agent, { transport: 'tcp', host: HOST, port }, now))
  assert(sent)
  it.shell.carryOut(sent.outputs)
  await until('ended', () => it.events.some((event) => event.kind === 'ended' && event.reason === 'transport'))
})

test('a connection of ours is made once and used for what follows', async () => {
  const it = await bench()
  const connections: Socket[] = []
  let heard = ''
  const server = createServer((socket) => {
    connections.push(socket)
    socket.on('data', (chunk) => {
      heard += chunk.toString()
    })
  })
  await new Promise<void>((done) => server.listen(0, HOST, done))
  open.push(() => {
    for (const socket of connections) socket.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  for (let at = 0; at < 3; at++) {
    const sent = it.shell.drive((agent, now) => invite(agent, { transport: 'tcp', host: HOST, port }, now))
    if (sent) it.shell.carryOut(sent.outputs)
  }
  await until('three INVITEs', () => (heard.match(/^INVITE /gm) ?? []).length === 3)
  assert.equal(connections.length, 1)
})

test('a retransmission is due and sent without anything arriving', async () => {
  const it = await bench()
  const silentPeer = createSocket('udp4')
  let count = 0
  silentPeer.on('message', () => count++)
  await new Promise<void>((done) => silentPeer.bind(0, HOST, done))
  open.push(() => silentPeer.close())
  const sent = it.shell.drive((agent, now) => invite(agent, { transport: 'udp', host: HOST, port: silentPeer.address().port }, now))
  assert(sent)
  it.shell.carryOut(sent.outputs)
  await until('sent again after 500 ms', () => count === 2)
})

test('a bug in the agent or in the house is reported, and the next message is served', async () => {
  let isBroken = true
  const it = await bench((agent) => ({
    ...agent,
    receive(bytes, from, now) {
      if (isBroken) throw new Error('our bug')
      return agent.receive(bytes, from, now)
    },
  }))
  const { socket, heard } = await peer(it.port)
  socket.write(options('a'))
  await until('reported', () => it.errors.length === 1)
  isBroken = false
  it.onEvent = () => {
    throw new Error('our other bug')
  }
  socket.write(options('b'))
  await until('reported', () => it.errors.length === 2)
  answerAll(it)
  socket.write(options('c'))
  await until('served', () => heard().includes('200'))
})

test('literals are their own address, in the family of the socket alone; names are looked up', async () => {
  const { shell } = await bench()
  assert.deepEqual(await shell.resolve({ transport: 'tcp', host: '192.0.2.1', port: 5061 }), { transport: 'tcp', host: '192.0.2.1', port: 5061 })
  assert.equal(await shell.resolve({ transport: 'udp', host: '2001:db8::1', port: 5060 }), null)
  assert.deepEqual(await shell.resolve({ transport: 'udp', host: 'localhost', port: 5060 }), { transport: 'udp', host: HOST, port: 5060 })
  assert.deepEqual(await shell.addresses('no-such-host.invalid'), [])
})

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'))

test('on an IPv6 address it speaks IPv6', { skip: hasIpv6 ? false : 'no IPv6 on this machine' }, async () => {
  const it = await bench((agent) => agent, '::1')
  answerAll(it)
  const socket = createSocket('udp6')
  let heard = ''
  socket.on('message', (bytes) => {
    heard += bytes.toString()
  })
  await new Promise<void>((done) => socket.bind(0, '::1', done))
  open.push(() => socket.close())
  socket.send(options('six').replace(`TCP ${HOST}:9`, 'UDP [::1]:9;rport'), it.port, '::1')
  await until('an answer', () => heard !== '')
  assert.match(heard, /^SIP\/2\.0 200/)
})

test('a wait has an end', async () => {
  assert.equal(await withinTime(new Promise(() => {}), 1), null)
  assert.equal(await withinTime(Promise.reject(new Error('no')), 1000), null)
  assert.equal(await withinTime(Promise.resolve(7), 1000), 7)
  assert.equal(isUnspecified('::') && isUnspecified('0.0.0.0') && !isUnspecified('127.0.0.1'), true)
  assert.match(outerAddress(4), /^\d+\.\d+\.\d+\.\d+$/)
})
