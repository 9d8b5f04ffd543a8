/**
 * What every independent peer needs: is it installed, a process that surely ends.
 *
 * A peer that is missing skips its tests and says so; with `CI=true` it is a failure instead.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, it } from 'node:test'

export type PeerName = 'baresip' | 'sipp'

/** Debian's package for each. */
const PACKAGES: Readonly<Record<PeerName, string>> = { baresip: 'baresip-core', sipp: 'sip-tester' }

export const isInstalled = (name: PeerName): boolean => (process.env.PATH ?? '').split(delimiter).some((folder) => isExecutable(join(folder, name)))

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Tests with a peer. Without it they are one skipped test with the reason, or, in CI, one that failed. */
export function describeWith(name: PeerName, title: string, tests: () => void): void {
  if (isInstalled(name)) return void describe(title, tests)
  const reason = `${name} is not installed (apt-get install ${PACKAGES[name]})`
  it(title, { skip: process.env.CI === 'true' ? false : reason }, () => assert.fail(reason))
}

export interface Running {
  readonly pid: number
  /** Resolves with the exit code when the process has ended; a signal counts as -1. */
  readonly exited: Promise<number>
  /** What it printed, the newest 64 KiB. */
  output(): string
  /** Ends it: TERM, and KILL when it does not listen. */
  stop(): Promise<void>
}

const OUTPUT_KEPT_CHARS = 65_536
const TERM_PATIENCE_MS = 2_000

/** Starts a peer that is ended after `limitMs` at the latest. */
export function run(command: string, args: readonly string[], options: { readonly cwd: string; readonly limitMs: number }): Running {
  const child: ChildProcess = spawn(command, args, { cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const keep = (chunk: unknown): void => {
    output = (output + String(chunk)).slice(-OUTPUT_KEPT_CHARS)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const exited = new Promise<number>((resolve) => {
    child.once('error', (error) => {
      keep(error.message)
      resolve(-1)
    })
    child.once('exit', (code) => resolve(code ?? -1))
  })
  const limit = setTimeout(() => child.kill('SIGKILL'), options.limitMs)
  void exited.then(() => clearTimeout(limit))
  return {
    pid: child.pid ?? -1,
    exited,
    output: () => output,
    async stop() {
      child.kill('SIGTERM')
      const kill = setTimeout(() => child.kill('SIGKILL'), TERM_PATIENCE_MS)
      await exited
      clearTimeout(kill)
    },
  }
}
