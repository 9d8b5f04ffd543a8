/**
 * Phones of arrays on a virtual clock, for the tests of a whole conversation: each plays its own tone, and what each ear
 * receives is kept and measured. One step is a millisecond; the clock of the conversation ticks every ten.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addLeg, makeConversation, setTable, setTerms, type Conversation, type SoundLeg, type Terms } from './conversation.ts'
import { LINEAR, PAYLOAD_TYPE, type Law } from './g711.ts'
import { powerDb, tonePayload } from './tone.ts'
import { arrive, tick, type Send } from './passage.ts'
import { buildRtp, parseRtp, sequenceAhead, timestampAhead, type RtpPacket } from './rtp.ts'

/** Louder is heard, quieter is not; nothing may lie between. */
export const HEARD_DB = -20
export const UNHEARD_DB = -45
export const TICK_EVERY_MS = 10

export interface Heard {
  readonly at: number
  readonly packet: RtpPacket
  readonly payload: Uint8Array
  /** The very bytes that were handed over, and a copy made then: whoever sends keeps them until the network took them. */
  readonly bytes: Uint8Array
  readonly copy: Uint8Array
}

export interface Phone {
  readonly id: string
  readonly kind: 'conversation' | 'monitor'
  readonly hz: number
  law: Law
  ptimeMs: number
  phaseMs: number
  isTalking: boolean
  /** Said of the n-th packet: lost on the way, doubled, or held back until after the next one. */
  fate: (n: number) => 'arrives' | 'lost' | 'doubled' | 'swapped'
  ssrc: number
  sequence: number
  timestamp: number
  sentCount: number
  readonly port: number
  readonly heard: Heard[]
  readonly heldBack: Uint8Array[]
}

export interface Rig {
  readonly call: Conversation
  readonly phones: Map<string, Phone>
  /** Clips that came to their end, in their order, and when. */
  readonly played: { readonly id: string; readonly at: number }[]
  now: number
}

export const HZ = { agent: 440, customer: 700, coach: 1000, second: 1450 } as const

export function phone(id: keyof typeof HZ, change: Partial<Phone> = {}): Phone {
  const port = 4000 + 2 * Object.keys(HZ).indexOf(id)
  return {
    id,
    kind: id === 'agent' || id === 'customer' ? 'conversation' : 'monitor',
    hz: HZ[id],
    law: 'pcmu',
    ptimeMs: 20,
    phaseMs: port % 20,
    isTalking: true,
    fate: () => 'arrives',
    ssrc: port * 1000,
    sequence: 65500,
    timestamp: 0xffffff00,
    sentCount: 0,
    port,
    heard: [],
    heldBack: [],
    ...change,
  }
}

export const termsOf = (phone: Phone, change: Partial<Terms> = {}): Terms => ({
  remote: { host: '10.0.0.1', port: phone.port },
  signallingHost: null,
  law: phone.law,
  digitsPayloadType: 101,
  digitsFromPhone: [101],
  ptimeMs: phone.ptimeMs,
  phoneReceives: true,
  phoneSends: true,
  ...change,
})

export function makeRig(...phones: readonly Phone[]): Rig {
  const rig: Rig = { call: makeConversation(), phones: new Map(), played: [], now: 1_000_000 }
  for (const each of phones) join(rig, each)
  return rig
}

export function join(rig: Rig, joining: Phone): void {
  rig.phones.set(joining.id, joining)
  const seed = { ssrc: joining.port, sequence: 65530, timestamp: 0xfffffff0, cname: joining.id }
  const leg = addLeg(rig.call, joining.id, joining.kind, seed)
  setTerms(rig.call, leg, termsOf(joining), rig.now)
}

export function phoneIn(rig: Rig, id: string): Phone {
  const found = rig.phones.get(id)
  assert.ok(found, `no phone ${id}`)
  return found
}

export function legIn(rig: Rig, id: string): SoundLeg {
  const found = rig.call.legs.get(id)
  assert.ok(found, `no leg ${id}`)
  return found
}

export const sendOf =
  (rig: Rig): Send =>
  (legId, to, bytes) => {
    const ear = phoneIn(rig, legId)
    assert.deepEqual(to, { host: '10.0.0.1', port: ear.port }, 'packets go to the phone')
    const packet = parseRtp(bytes)
    assert.ok(packet)
    const copy = new Uint8Array(bytes)
    ear.heard.push({ at: rig.now, packet, payload: copy.subarray(packet.payloadStart, packet.payloadEnd), bytes, copy })
  }

/** As a `Buffer`, like a socket gives it, and the conversation's own from here on. */
export const deliver = (rig: Rig, from: Phone, bytes: Uint8Array): void =>
  arrive(legIn(rig, from.id), { from: { host: '10.0.0.1', port: from.port }, bytes: Buffer.from(bytes), now: rig.now }, sendOf(rig))

/** A key's payload in the phone's stream; the timestamp is that of the key's beginning. */
export function pressed(rig: Rig, from: Phone, payload: Uint8Array, timestamp: number, marker: boolean): void {
  const { sequence, ssrc } = from
  from.sequence = (sequence + 1) & 0xffff
  deliver(rig, from, buildRtp({ payloadType: 101, marker, sequence, timestamp, ssrc }, payload))
}

export function run(rig: Rig, ms: number): void {
  for (const until = rig.now + ms; rig.now < until; rig.now++) {
    for (const each of rig.phones.values()) if ((rig.now - each.phaseMs) % each.ptimeMs === 0) speak(rig, each)
    if (rig.now % TICK_EVERY_MS !== 0) continue
    for (const id of tick(rig.call, rig.now, sendOf(rig))) rig.played.push({ id, at: rig.now })
  }
}

function speak(rig: Rig, speaker: Phone): void {
  const samples = speaker.ptimeMs * 8
  const { ssrc, sequence, timestamp } = speaker
  speaker.timestamp = (timestamp + samples) >>> 0
  if (!speaker.isTalking) return
  speaker.sequence = (sequence + 1) & 0xffff
  const payload = tonePayload(speaker.law, speaker.hz, samples, (timestamp + 0x100) >>> 0)
  const bytes = buildRtp({ payloadType: PAYLOAD_TYPE[speaker.law], marker: false, sequence, timestamp, ssrc }, payload)
  const fate = speaker.fate(speaker.sentCount++)
  if (fate === 'lost') return
  if (fate === 'swapped') {
    speaker.heldBack.push(bytes)
    return
  }
  deliver(rig, speaker, bytes.slice())
  if (fate === 'doubled') deliver(rig, speaker, bytes.slice())
  for (const late of speaker.heldBack.splice(0)) deliver(rig, speaker, late)
}

export const isSound = ({ packet }: Heard): boolean => packet.payloadType === 0 || packet.payloadType === 8

/** What an ear received since a moment, in order of time, as samples. */
export function soundSince(rig: Rig, ear: string, since: number): Int16Array {
  const packets = phoneIn(rig, ear).heard.filter((heard) => heard.at >= since && isSound(heard))
  const ordered = packets.toSorted((a, b) => timestampAhead(a.packet.timestamp, b.packet.timestamp))
  const samples = ordered.flatMap(({ packet, payload }) => {
    const table = LINEAR[packet.payloadType === 0 ? 'pcmu' : 'pcma']
    return Array.from(payload, (code) => table[code] ?? 0)
  })
  return Int16Array.from(samples)
}

export const levelDb = (rig: Rig, ear: string, mouth: string, since: number): number => powerDb(soundSince(rig, ear, since), phoneIn(rig, mouth).hz)

export type Table = Readonly<Record<string, readonly string[]>>
export const obey = (rig: Rig, table: Table): void => setTable(rig.call, new Map(Object.entries(table)), rig.now)

/** Every ear hears the mouths of its row and no other. */
export function assertHears(rig: Rig, table: Table, since: number, about = ''): void {
  for (const ear of rig.phones.keys()) {
    for (const mouth of rig.phones.keys()) {
      const db = levelDb(rig, ear, mouth, since)
      const expected = table[ear]?.includes(mouth) === true && phoneIn(rig, mouth).isTalking
      const verdict = expected ? db > HEARD_DB : db < UNHEARD_DB
      assert.ok(verdict, `${about} ${ear} ${expected ? 'hears' : 'does not hear'} ${mouth}: ${db.toFixed(1)} dB`)
    }
  }
}

/** One stream: one SSRC, no number used twice, none left out, and sound that never overlaps. */
export function assertContinuous(rig: Rig, ear: string): void {
  const { heard } = phoneIn(rig, ear)
  for (const [i, { packet }] of heard.entries()) {
    const before = heard[i - 1]?.packet
    if (before === undefined) continue
    assert.equal(packet.ssrc, before.ssrc)
    assert.equal(sequenceAhead(packet.sequence, before.sequence), 1, `${ear}: number ${i}`)
  }
  assertNoOverlap(rig, ear)
}

export function assertNoOverlap(rig: Rig, ear: string): void {
  for (const { bytes, copy } of phoneIn(rig, ear).heard) assert.deepEqual(new Uint8Array(bytes), copy, 'sent bytes stay as they were')
  const sounds = phoneIn(rig, ear).heard.filter(isSound)
  for (const [i, { packet }] of sounds.entries()) {
    const before = sounds[i - 1]
    if (before === undefined) continue
    const gap = timestampAhead(packet.timestamp, before.packet.timestamp) - before.payload.length
    assert.ok(gap >= 0, `${ear}: packet ${i} begins ${-gap} samples before the end of the one before`)
  }
}

/** The table of contract C23, spelled out once more so that the tests do not borrow what they check. */
export type Mode = 'listen' | 'whisper' | 'barge'
export function tableFor(modes: Readonly<Record<string, Mode>>, target = 'agent'): Table {
  const supervisors = Object.entries(modes)
  const barging = supervisors.filter(([, mode]) => mode === 'barge').map(([id]) => id)
  const row = (id: string): readonly string[] => [
    ...['customer', 'agent', ...barging].filter((mouth) => mouth !== id),
    ...supervisors.filter(([, mode]) => mode === 'whisper' && id === target).map(([mouth]) => mouth),
  ]
  return Object.fromEntries(['agent', 'customer', ...Object.keys(modes)].map((id) => [id, row(id)]))
}

test('The rig: two phones, each hears the tone of the other, and silence without a table', () => {
  const rig = makeRig(phone('agent'), phone('customer'))
  run(rig, 200)
  assert.equal(phoneIn(rig, 'agent').heard.length, 0)
  obey(rig, tableFor({}))
  const since = rig.now
  run(rig, 400)
  assertHears(rig, tableFor({}), since)
  assertContinuous(rig, 'agent')
})
