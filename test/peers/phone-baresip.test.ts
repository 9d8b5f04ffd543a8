/** baresip against our own phone: what our phone says of itself is believed by the other tests, so somebody else must agree. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makePhone, type Phone, type PhoneOptions } from '../../src/phone/phone.ts'
import { type Baresip, type BaresipOptions, startBaresip } from './baresip.ts'
import { eventually } from '../eventually.ts'
import { describeWith } from './peers.ts'

const OURS_HZ = 700
const THEIRS_HZ = 1010
const TONES = [440, OURS_HZ, THEIRS_HZ]

async function withBoth(
  ours: Partial<PhoneOptions>,
  theirs: Partial<BaresipOptions>,
  play: (phone: Phone, baresip: Baresip) => Promise<void>,
): Promise<void> {
  const phone = makePhone({
    name: 'ours',
    password: null,
    server: null,
    transport: 'udp',
    law: 'pcmu',
    toneHz: OURS_HZ,
    ptimeMs: 20,
    behaviour: { answer: 'auto', answerAfterMs: 0 },
    ...ours,
  })
  await phone.start()
  const baresip = await startBaresip({ name: 'theirs', toneHz: THEIRS_HZ, laws: ['pcmu', 'pcma'], answers: 'auto', registrar: null, ...theirs })
  try {
    await play(phone, baresip)
  } finally {
    await baresip.stop()
    await phone.stop()
  }
}

/** Our phone's newest call hears exactly these. */
const hears = (phone: Phone, wanted: readonly number[]) =>
  eventually(`our phone hears ${wanted.join('+') || 'silence'}`, () => {
    const session = phone.current()
    return session !== null && TONES.every((hz) => session.hears(hz) === (wanted.includes(hz) ? 'heard' : 'silent')) ? true : null
  })

describeWith('baresip', 'baresip and our phone', () => {
  for (const law of ['pcmu', 'pcma'] as const) {
    it(`baresip calls us in ${law}: each hears the other, keys pass both ways`, async () => {
      await withBoth({ law }, {}, async (phone, baresip) => {
        await baresip.command('dial', phone.uri)
        await baresip.happens('CALL_ESTABLISHED')
        await Promise.all([baresip.hears([OURS_HZ], TONES), hears(phone, [THEIRS_HZ])])
        phone.current()?.sendDigits('4#')
        await eventually('baresip gets both keys', () =>
          baresip.events
            .filter((event) => event.type === 'CALL_DTMF_START')
            .map((event) => event.param)
            .join('') === '4#'
            ? true
            : null,
        )
        await baresip.press('9')
        await eventually('we get the key', () => phone.current()?.digits() === '9')
        await baresip.command('hangup')
        await eventually('the call has ended', () => phone.current()?.end ?? null)
        assert.deepEqual(phone.current()?.end, { cause: 'completed', by: 'peer', status: 0 })
      })
    })
  }

  for (const transport of ['udp', 'tcp'] as const) {
    it(`we call baresip over ${transport}, fall silent, speak again, and hang up`, async () => {
      await withBoth({ transport }, {}, async (phone, baresip) => {
        const session = await phone.call(baresip.uri)
        await eventually('established', () => session.state === 'established')
        await Promise.all([baresip.hears([OURS_HZ], TONES), hears(phone, [THEIRS_HZ])])
        session.mute(true)
        await baresip.hears([], TONES)
        session.mute(false)
        await baresip.hears([OURS_HZ], TONES)
        session.hangUp()
        await baresip.happens('CALL_CLOSED')
      })
    })
  }

  it('either end holds and resumes', async () => {
    await withBoth({}, {}, async (phone, baresip) => {
      const session = await phone.call(baresip.uri)
      await hears(phone, [THEIRS_HZ])
      await session.hold()
      await hears(phone, [])
      await session.resume()
      await hears(phone, [THEIRS_HZ])
      await baresip.command('hold')
      await hears(phone, [])
      assert.equal(session.agreed()?.direction, 'sendonly')
      await baresip.command('resume')
      await hears(phone, [THEIRS_HZ])
    })
  })

  it('a baresip that refuses is busy; one that we give up stops ringing', async () => {
    await withBoth({}, { answers: 'manual' }, async (phone, baresip) => {
      const refused = await phone.call(baresip.uri)
      await baresip.happens('CALL_INCOMING')
      await baresip.command('hangup')
      await eventually('refused', () => refused.end)
      assert.equal(refused.end?.cause, 'busy')
      baresip.forgetEvents()
      const given = await phone.call(baresip.uri)
      await baresip.happens('CALL_INCOMING')
      given.hangUp()
      await baresip.happens('CALL_CLOSED')
      await eventually('canceled', () => given.end)
      assert.equal(given.end?.cause, 'canceled')
    })
  })
})
