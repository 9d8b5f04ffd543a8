/** What a running Node process really holds: its heap after a full collection, asked over the inspector that it was started with. */

/** For the command line of the process. The inspector listens on a free port of this machine and costs nothing until it is asked. */
export const INSPECTABLE = ['--inspect=127.0.0.1:0'] as const

export interface Heap {
  /** Collects garbage and says what is left on the main thread's heap and in its buffers, MB. Stops the process for some 100 ms. */
  heldMb(): Promise<number>
  close(): void
}

interface Result {
  readonly result?: { readonly result?: { readonly value?: unknown } }
}

/** @param output What the process wrote on stderr. @throws Error when it is not inspectable. */
export async function openHeap(output: string): Promise<Heap> {
  const address = /Debugger listening on (ws:\S+)/.exec(output)?.[1]
  if (address === undefined) throw new Error('the process does not say where its inspector listens')
  const socket = new WebSocket(address)
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve())
    socket.addEventListener('error', () => reject(new Error('the inspector does not answer')))
  })
  let lastId = 0
  const ask = (method: string, params: object = {}): Promise<Result> => {
    const id = ++lastId
    return new Promise((resolve) => {
      const take = ({ data }: MessageEvent): void => {
        const said = JSON.parse(String(data)) as Result & { readonly id?: number }
        if (said.id !== id) return
        socket.removeEventListener('message', take)
        resolve(said)
      }
      socket.addEventListener('message', take)
      socket.send(JSON.stringify({ id, method, params }))
    })
  }
  return {
    async heldMb() {
      // Twice: what the first collection finalizes, the second frees.
      for (let turn = 0; turn < 2; turn++) await ask('HeapProfiler.collectGarbage')
      const expression = '(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())'
      const said = await ask('Runtime.evaluate', { expression, returnByValue: true })
      return Number(said.result?.result?.value) / 1e6
    },
    close: () => socket.close(),
  }
}
