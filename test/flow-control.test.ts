import { describe, expect, it, onTestFinished } from 'vitest'
import { startCluster } from './cluster.ts'
import type { TestClient } from './test-client.ts'

/** Without limits of rates, so that nothing else holds a client back. */
const NO_RATES = ['--message-rate', '0', '--byte-rate', '0']
const QUIET = 20
const ROUNDS = 10
/** Enough to meet every bound within a second, and little enough for the process of the test. */
const BURST = 20
const MAX_BUFFERED_BYTES = 256 * 1024

/** Sends as much as the connection takes, in bursts, until the test is over. */
function flood({ socket }: TestClient, message: string): void {
  const timer = setInterval(() => {
    for (let at = 0; at < BURST && socket.bufferedAmount < MAX_BUFFERED_BYTES; at += 1) socket.send(message)
  }, 10)
  onTestFinished(() => clearInterval(timer))
}

/** Every quiet client asks and is answered, again and again. */
async function everybodyIsAnswered(quiet: TestClient[]): Promise<void> {
  await Promise.all(
    quiet.map(async (client, index) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        client.send(`quiet ${index} ${round}`)
        expect(await client.next()).toBe(`quiet ${index} ${round}`)
      }
    }),
  )
}

describe('clients that send as fast as they can', () => {
  it.each([
    ['12 clients, tiny messages, handlers of 10 ms', 12, 'slow'],
    ['20 clients whose handlers never settle', 20, 'stuck'],
    ['12 clients, messages of 64 KiB, handlers of 10 ms', 12, `slow ${'x'.repeat(64 * 1024)}`],
    ['12 clients, messages of 64 KiB, handlers that never settle', 12, `stuck ${'x'.repeat(64 * 1024)}`],
    ['200 clients, tiny messages, handlers of 10 ms', 200, 'slow'],
  ])('leave every other client of their worker its turns: %s', async (_what, count, message) => {
    const cluster = await startCluster({
      events: 'chatty.ts',
      gatewayArgs: NO_RATES,
      workerArgs: ['--stop-timeout', '1'], // some handlers never settle
    })
    const quiet: TestClient[] = []
    for (let at = 0; at < QUIET; at += 1) quiet.push(await cluster.open())
    const chatty: TestClient[] = []
    for (let at = 0; at < count; at += 1) chatty.push(await cluster.open())
    for (const client of chatty) flood(client, message)
    await everybodyIsAnswered(quiet)
  })
})

it('a client whose handler never settles is closed after the event timeout, and one that came after it is served', async () => {
  const cluster = await startCluster({ events: 'chatty.ts', workerArgs: ['--event-timeout', '1'] })
  const [stuck, other] = [await cluster.open(), await cluster.open()]
  const reported = cluster.workers.next({
    msg: 'a handler did not settle within the event timeout; its client is closed',
  })
  stuck.send('stuck')
  stuck.send('dropped')
  expect(await stuck.isClosed()).toEqual({ code: 1011, reason: 'event timeout' })
  const { droppedEvents, event, handler, timeoutMs } = await reported
  expect({ droppedEvents, event, timeoutMs }).toEqual({ droppedEvents: 1, event: 'onMessage', timeoutMs: 1_000 })
  expect(handler).toMatch(/fixtures\/chatty\.ts:\d+$/)
  other.send('hello')
  expect(await other.next()).toBe('hello')
})
