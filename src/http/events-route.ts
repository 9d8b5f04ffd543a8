/** `GET …/Events`: what the feed tells, spelled and sent. */
import { callEvent, type EventOptions, hearingEvent, legEvent, modeEvent, snapshotEvent } from '../contract/events.ts'
import { EVENT_HEADERS, EVENT_PARAMETERS } from '../contract/schemas/events.ts'
import { parametersIn } from '../contract/schemas/parameter.ts'
import type { WireObject } from '../contract/xml.ts'
import type { Api } from '../control/api.ts'
import { type Beginning, type Happening, tableOf, type Told } from '../control/feed.ts'
import type { CallId } from '../domain/ids.ts'
import type { EventStream, StreamEvent } from './event-stream.ts'
import type { Asked } from './routes.ts'

/** Rights and parameters are looked at before the stream opens, so that a refusal is an answer like any other. */
export async function eventsAnswer(api: Api, asked: Asked): Promise<EventStream> {
  const query = parametersIn(EVENT_PARAMETERS, asked.query)
  const headers = parametersIn(EVENT_HEADERS, new Map(asked.lastEventId === null ? [] : [['Last-Event-ID', [asked.lastEventId]]]))
  const callId = (query.CallSid ?? null) as CallId | null
  const lastId = headers['Last-Event-ID'] ?? query.LastEventId ?? null
  let send: (event: StreamEvent) => void = () => {}
  const follow = () => api.events(asked.who, { callId, lastId, tell: (told) => send(eventOf(told, asked)) })
  // Refused now or never.
  follow().stop()
  return {
    kind: 'events',
    open(onEvent) {
      send = onEvent
      const { beginning, stop } = follow()
      return { first: firstOf(beginning, asked), stop }
    },
  }
}

function firstOf(beginning: Beginning, options: EventOptions): readonly StreamEvent[] {
  if (beginning.kind === 'resumed') return beginning.told.map((told) => eventOf(told, options))
  const calls = beginning.calls.map((call) => ({ call, table: tableOf(call) }))
  return [{ id: beginning.id, event: 'snapshot', data: snapshotEvent(calls, beginning.missed, options) }]
}

const eventOf = ({ id, happening }: Told, options: EventOptions): StreamEvent => ({ id, event: happening.kind, data: dataOf(happening, options) })

function dataOf(happening: Happening, options: EventOptions): WireObject {
  const { call } = happening
  switch (happening.kind) {
    case 'call':
      return callEvent(call, options)
    case 'leg':
      return legEvent(call, happening.leg, options)
    case 'mode':
      return modeEvent(call, happening.leg, happening.before, options)
    case 'hearing':
      return hearingEvent(call, happening.table)
  }
}
