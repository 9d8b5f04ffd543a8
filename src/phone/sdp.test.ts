import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Description, directionOf, readDescription, receives, sends, writeDescription } from './sdp.ts'

const ours: Description = { host: '127.0.0.1', port: 40_000, laws: ['pcma'], digitsPayloadType: 101, direction: 'sendrecv', ptimeMs: 30 }
const lines = (...text: string[]): Uint8Array => Buffer.from(text.join('\r\n'))

describe('the SDP of a phone', () => {
  it('reads what it writes', () => {
    for (const direction of ['sendrecv', 'sendonly', 'recvonly', 'inactive'] as const) {
      const described: Description = { ...ours, direction, laws: ['pcmu', 'pcma'] }
      assert.deepEqual(readDescription(writeDescription(described, 3)), described)
    }
    assert.equal(readDescription(writeDescription({ ...ours, digitsPayloadType: null }, 1))?.digitsPayloadType, null)
  })

  it('the media section overrules the session, and static payload types need no rtpmap', () => {
    const body = lines(
      'v=0',
      'c=IN IP4 10.0.0.1',
      'a=inactive',
      'm=audio 5000 RTP/AVP 8 0 96',
      'c=IN IP4 10.0.0.2',
      'a=rtpmap:96 telephone-event/8000',
      'a=recvonly',
      'm=video 1 RTP/AVP 31',
      'a=sendonly',
    )
    assert.deepEqual(readDescription(body), {
      host: '10.0.0.2',
      port: 5000,
      laws: ['pcma', 'pcmu'],
      digitsPayloadType: 96,
      direction: 'recvonly',
      ptimeMs: 20,
    })
  })

  it('a dynamic payload type may be a law; unknown codecs are skipped', () => {
    const body = lines('v=0', 'c=IN IP4 10.0.0.1', 'm=audio 5000 RTP/AVP 111 98', 'a=rtpmap:111 opus/48000/2', 'a=rtpmap:98 PCMU/8000')
    assert.deepEqual(readDescription(body)?.laws, ['pcmu'])
  })

  it('is null without an audio stream over plain RTP, or without an address', () => {
    for (const body of [
      lines(''),
      lines('v=0', 'm=video 1 RTP/AVP 31'),
      lines('v=0', 'c=IN IP4 1.2.3.4', 'm=audio 1 RTP/SAVP 0'),
      lines('v=0', 'm=audio 1 RTP/AVP 0'),
      lines('v=0', 'c=IN IP4 1.2.3.4', 'm=audio x RTP/AVP 0'),
    ]) {
      assert.equal(readDescription(body), null)
    }
  })

  it('a direction is who sends and who receives', () => {
    for (const direction of ['sendrecv', 'sendonly', 'recvonly', 'inactive'] as const) {
      assert.equal(directionOf({ sends: sends(direction), receives: receives(direction) }), direction)
    }
  })
})
