import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { openTestDatabase, silent, type TestDatabase, testServers } from '../../../test/database.ts'
import { eventually } from '../../../test/eventually.ts'
import { openDatabase, type Sql } from '../database.ts'
import { migrate, pendingSteps, STEPS, type Steps } from './migrate.ts'

const [FIRST = ''] = Object.keys(STEPS)
/** Steps of a later version: one that takes its time, and one that stands on it. */
const LATER: Steps = {
  ...STEPS,
  '901-slow': 'create table slow (id integer primary key); select pg_sleep(0.3); insert into slow values (1)',
  '902-next': 'alter table slow add note text',
}

for (const server of testServers()) {
  describe(`the steps of the tables on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    let sql: Sql
    let databases = 0
    before(async () => {
      opened = await openTestDatabase(server)
      sql = opened.database.sql
    })
    after(() => opened.close())

    /** A database of its own in which the first `steps` have been made; none: empty. */
    async function prepared(steps: Steps | null): Promise<{ readonly url: string; readonly pool: pg.Pool; end(): Promise<void> }> {
      const name = `steps_${(databases += 1)}`
      await sql.query(`create database ${name}`)
      const url = opened.url.replace(/@([^/]*)\/\w+/, `@$1/${name}`)
      if (steps) await migrate({ connectionString: url }, steps)
      const pool = new pg.Pool({ connectionString: url })
      pool.on('connect', (client) => void client.on('error', () => {})).on('error', () => {})
      const end = async (): Promise<void> => {
        await pool.end()
        await sql.query(`drop database ${name} with (force)`)
      }
      return { url, pool, end }
    }
    const names = async (pool: pg.Pool): Promise<readonly string[]> =>
      (await pool.query<{ name: string }>('select name from migration order by name')).rows.map((row) => row.name)

    for (const [what, done] of [
      ['an empty database', null],
      ['a database of an older version', { [FIRST]: STEPS[FIRST] ?? '' }],
    ] as const) {
      for (const nodes of [2, 5]) {
        test(`${nodes} processes that start at once on ${what} all come up, and its tables are made once`, async () => {
          const { url, pool, end } = await prepared(done)
          const script = `
            import { openDatabase } from ${JSON.stringify(new URL('../database.ts', import.meta.url).href)}
            const log = { info() {}, warn() {}, error() {} }
            process.stdout.write('ready\\n')
            process.stdin.once('data', async () => {
              const database = await openDatabase({ data: process.env.DATA, log })
              console.log(JSON.stringify(database.steps.made))
              await database.close()
              process.exit(0)
            })`
          const children = Array.from({ length: nodes }, () =>
            spawn(process.execPath, ['--input-type=module', '-e', script], {
              env: { ...process.env, DATA: url },
              stdio: ['pipe', 'pipe', 'inherit'],
            }),
          )
          const outputs = children.map(() => '')
          children.forEach((child, index) => child.stdout.on('data', (chunk: Buffer) => void (outputs[index] += chunk.toString())))
          const ended = children.map((child) => new Promise<number | null>((resolve) => child.once('close', resolve)))
          await eventually('all stand ready', () => outputs.every((output) => output === 'ready\n'), 30_000)
          for (const child of children) child.stdin.write('go\n')
          assert.deepEqual(
            await Promise.all(ended),
            children.map(() => 0),
          )
          const made = outputs.map((output): readonly string[] => JSON.parse(output.split('\n')[1] ?? ''))
          const wanted = Object.keys(STEPS).filter((name) => !(name in (done ?? {})))
          assert.deepEqual(made.flat(), wanted, 'each step was made by one of them')
          assert.deepEqual(await names(pool), Object.keys(STEPS))
          await end()
        })

        test(`${nodes} nodes of a later version at once on ${what}: one makes every step, the others wait for it`, async () => {
          const { url, pool, end } = await prepared(done)
          const made = await Promise.all(Array.from({ length: nodes }, () => migrate({ connectionString: url }, LATER)))
          const wanted = Object.keys(LATER).filter((name) => !(name in (done ?? {})))
          assert.deepEqual(
            made.filter((steps) => steps.length > 0),
            [wanted],
          )
          assert.deepEqual(await names(pool), Object.keys(LATER))
          await end()
        })
      }
    }

    test('a step that fails leaves nothing, of those before it neither; when it is mended all are made', async () => {
      const { url, pool, end } = await prepared({ [FIRST]: STEPS[FIRST] ?? '' })
      const tables = async (): Promise<unknown> =>
        (await pool.query(`select relname from pg_class where relnamespace = 'public'::regnamespace order by 1`)).rows
      const untouched = await tables()
      const bad = { ...LATER, '902-next': 'create table half (); alter table nowhere add note text' }
      await assert.rejects(migrate({ connectionString: url }, bad), (error) => {
        assert(error instanceof Error && error.cause instanceof Error)
        assert.match(error.message, /could not be brought up to date \(step 902-next\)/)
        assert.match(error.cause.message, /"nowhere" does not exist/)
        return true
      })
      assert.deepEqual(await tables(), untouched)
      assert.deepEqual(await names(pool), [FIRST])
      assert.deepEqual(
        await migrate({ connectionString: url }, LATER),
        Object.keys(LATER).filter((name) => name !== FIRST),
      )
      await end()
    })

    test('a process that dies in the middle of a step leaves nothing, and the next one makes it', async () => {
      const { url, pool, end } = await prepared(STEPS)
      const endless = { ...STEPS, '901-slow': 'create table slow (); select pg_sleep(60)' }
      const killed = assert.rejects(migrate({ connectionString: url, application_name: 'dies' }, endless))
      await eventually('it is in the step', async () => {
        const { rowCount } = await pool.query(
          `select from pg_stat_activity where application_name = 'dies' and query like '%pg_sleep(60)%' and state = 'active'`,
        )
        return rowCount === 1
      })
      const next = migrate({ connectionString: url }, LATER)
      await pool.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'dies'`)
      await killed
      assert.deepEqual(await next, ['901-slow', '902-next'])
      await end()
    })

    test('a step may take longer than a statement of the house may', async () => {
      const { url, end } = await prepared(STEPS)
      const made = await migrate({ connectionString: url, statement_timeout: 100 }, LATER)
      assert.deepEqual(made, ['901-slow', '902-next'])
      await end()
    })

    test('what a newer version has made is refused with a sentence, and left as it is', async () => {
      const { url, pool, end } = await prepared(LATER)
      await assert.rejects(openDatabase({ data: url, log: silent }), /written by a newer version of Earshot/)
      await assert.rejects(pendingSteps(pool), /written by a newer version of Earshot/)
      assert.deepEqual(await names(pool), Object.keys(LATER))
      assert.deepEqual(await migrate({ connectionString: url }, LATER), [])
      await end()
    })

    test('of an older and a newer version that start at once the older one is refused, or makes its own steps first', async () => {
      const { url, pool, end } = await prepared(null)
      const [older, newer] = await Promise.allSettled([migrate({ connectionString: url }), migrate({ connectionString: url }, LATER)])
      if (older.status === 'rejected') assert.match(String(older.reason), /written by a newer version/)
      assert.equal(newer.status, 'fulfilled')
      assert.deepEqual(await names(pool), Object.keys(LATER))
      await end()
    })
  })
}
