import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { despiteErrors, eventually } from '../../test/eventually.ts'
import { openTestDatabase, silent, type TestDatabase, testServers } from '../../test/database.ts'
import { type Database, openDatabase, type Sql } from './database.ts'

const KILL_OTHERS = `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`

for (const server of testServers()) {
  describe(`the database on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    let database: Database
    let sql: Sql
    before(async () => {
      opened = await openTestDatabase(server)
      database = opened.database
      sql = database.sql
      await sql.query('create table note (text text)')
    })
    after(() => opened.close())

    const notes = async (): Promise<readonly string[]> =>
      (await sql.query<{ text: string }>('select text from note order by text')).map((row) => row.text)

    test('a transaction is kept whole or not at all, and gives its result', async () => {
      const work = (text: string, fail: boolean) =>
        database.transaction(async (tx) => {
          await tx.query('insert into note values ($1)', [text])
          assert(!(await notes()).includes(text), 'not seen from outside before its end')
          if (fail) throw new Error('no')
          return text.length
        })
      await assert.rejects(work('lost', true), /^Error: no$/)
      assert.equal(await work('kept', false), 4)
      assert.deepEqual(await notes(), ['kept'])
    })

    test('a transaction whose connection breaks fails, and the next one works', async () => {
      const broken = database.transaction(async (tx) => {
        await tx.query(`insert into note values ('broken')`)
        await sql.query(KILL_OTHERS)
        await tx.query('select 1')
      })
      await assert.rejects(broken)
      assert.deepEqual(await database.transaction((tx) => tx.query('select 1 as one')), [{ one: 1 }])
      assert(!(await notes()).includes('broken'))
    })

    test('queries work again after every connection was lost', async () => {
      await Promise.all(Array.from({ length: 10 }, () => sql.query('select pg_sleep(0.01)')))
      await sql.query(KILL_OTHERS)
      await eventually(
        'a query',
        despiteErrors(async () => (await sql.query('select 1')).length === 1),
      )
    })

    test('the log has the words of what broke a connection, and not the connection with all its parameters', async () => {
      const lines: object[] = []
      const other = await openDatabase({ data: opened.url, log: { ...silent, warn: (fields) => void lines.push(fields) } })
      try {
        await other.sql.query('select 1')
        await sql.query(KILL_OTHERS)
        await eventually('the line', async () => lines.length > 0)
        for (const fields of lines) assert(JSON.stringify(fields).length < 300)
      } finally {
        await other.close()
      }
    })

    test('one process at a time goes by a node’s name: another is refused, the same again after it lost its connection is not', async () => {
      const other = await openDatabase({ data: opened.url, log: silent })
      try {
        await database.claim('main')
        await assert.rejects(other.claim('main'), /Another Earshot runs on this database as node "main"/)
        await other.claim('second')
        const held = `select pid from pg_locks join pg_database on pg_database.oid = database and datname = current_database() where locktype = 'advisory'`
        const pids = async (): Promise<readonly number[]> => (await sql.query<{ pid: number }>(held)).map((row) => row.pid)
        const before = await pids()
        assert.equal(before.length, 2)
        await sql.query(KILL_OTHERS).catch(() => {})
        await eventually(
          'both names are held again',
          despiteErrors(async () => {
            const now = await pids()
            return now.length === 2 && !now.some((pid) => before.includes(pid))
          }),
        )
        await assert.rejects(other.claim('main'), /Another Earshot/)
      } finally {
        await other.close()
      }
    })

    test('a listener hears its channel only, and again after its connection was lost', async () => {
      let heard = 0
      const listening = await database.listen('one', () => {
        heard += 1
      })
      await sql.query(`select pg_notify('two', ''), pg_notify('one', '')`)
      await eventually('a notification', async () => heard === 1)
      await sql.query(KILL_OTHERS).catch(() => {})
      await eventually('the call that says notifications may have been missed', async () => heard === 2)
      await eventually(
        'a notification after that',
        despiteErrors(async () => {
          await sql.query(`select pg_notify('one', '')`)
          return heard > 2
        }),
      )
      await listening.close()
      const until = heard
      await sql.query(`select pg_notify('one', '')`)
      assert.equal(heard, until)
    })

    test('a server that cannot be reached is an error, soon', async () => {
      await assert.rejects(openDatabase({ data: 'postgres://nobody@127.0.0.1:9/none', log: silent }), /ECONNREFUSED/)
    })
  })
}
