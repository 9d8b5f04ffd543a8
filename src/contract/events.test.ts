import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SAMPLE_CALLS, supervisorOf } from '../http/operations/samples.ts'
import { hearing } from '../domain/hearing.ts'
import { OPENING, whenOpen } from '../domain/sound.ts'
import { hearingEvent, legEvent, modeEvent, snapshotEvent } from './events.ts'

const OPTIONS = { timeZone: 'Asia/Kolkata', publicUrl: 'https://calls.example.com' } as const
const { rung, monitored, barged, over } = SAMPLE_CALLS
const [agent, customer] = barged.legs.map(({ id }) => id)
const supervisor = supervisorOf(barged).id
const earsOf = (call: typeof barged) => (hearingEvent(call, hearing(call.legs, call.sound)).Hearing as { readonly Ears: readonly object[] }).Ears
const hears = (...legs: readonly unknown[]) => legs.map((LegSid) => ({ LegSid }))

test('[C23] the table of hearing has a row for each ear: a whisper is in the row of its target alone', () => {
  assert.deepEqual(earsOf(monitored), [
    { LegSid: agent, Hears: hears(customer, supervisor), Sounds: [] },
    { LegSid: customer, Hears: hears(agent), Sounds: [] },
    { LegSid: supervisor, Hears: hears(agent, customer), Sounds: [] },
  ])
  assert.deepEqual(earsOf(barged)[1], { LegSid: customer, Hears: hears(agent, supervisor), Sounds: [] })
})

test('[C30] sounds are told by their names, and the recording is an ear for each of its channels', () => {
  const opening = { ...barged, sound: { ...barged.sound, stage: 'opening', opening: { url: 'https://a.example/x.wav', to: 'both' } } } as const
  assert.deepEqual(
    earsOf(opening)
      .slice(0, 2)
      .map((ear) => 'Sounds' in ear && ear.Sounds),
    [[{ Name: OPENING }], [{ Name: OPENING }]],
  )
  const taped = { ...barged, sound: whenOpen({ ...barged.sound, recording: 'dual' }, barged.updatedAt) }
  assert.deepEqual(earsOf(taped).slice(3), [
    { Tape: 'tape-1', Hears: hears(agent, supervisor), Sounds: [] },
    { Tape: 'tape-2', Hears: hears(customer), Sounds: [] },
  ])
})

test('[C13] a live leg says whether it was picked up, which its Status does not', () => {
  const stateOf = (call: typeof barged) => {
    const { Status, State, TargetLegSid } = legEvent(call, supervisorOf(call), OPTIONS).Leg as Readonly<Record<string, unknown>>
    return [Status, State, TargetLegSid]
  }
  assert.deepEqual([rung, monitored, over].map(stateOf), [
    ['in-progress', 'ringing', agent],
    ['in-progress', 'answered', agent],
    ['completed', 'ended', agent],
  ])
})

test('[C20] a mode says what it was before, and null for a supervisor who is new', () => {
  const of = (before: 'whisper' | null) => modeEvent(barged, supervisorOf(barged), before, OPTIONS).Mode as Readonly<Record<string, unknown>>
  assert.deepEqual([of('whisper').Action, of('whisper').PreviousAction, of(null).PreviousAction], ['barge', 'whisper', null])
})

test('a snapshot is all that lives: calls with their live legs and their tables, and whether something was missed', () => {
  const { Missed, Calls } = snapshotEvent([{ call: barged, table: hearing(barged.legs) }], true, OPTIONS)
  const [call] = Calls as readonly {
    readonly Sid: string
    readonly Legs: readonly unknown[]
    readonly Hearing: { readonly Ears: readonly unknown[] }
  }[]
  assert.deepEqual([Missed, call?.Sid, call?.Legs.length, call?.Hearing.Ears.length], ['true', barged.id, 3, 3])
  assert.deepEqual(snapshotEvent([], false, OPTIONS), { Missed: 'false', Calls: [] })
})
