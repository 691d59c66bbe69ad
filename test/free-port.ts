import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the range that systems hand out for port 0, so that nobody who did not ask for this very port gets it meanwhile. */
const LOWEST = 10_000
const HIGHEST = 30_000

/** A port of 127.0.0.1 that is free, for a process that is to come back under the same address. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))
    const server = createServer()
    try {
      await once(server.listen({ host: '127.0.0.1', port }), 'listening')
    } catch {
      continue
    }
    await once(server.close(), 'close')
    return port
  }
}
