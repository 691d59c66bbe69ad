import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Beating, Heartbeat } from '../src/heartbeat.ts'

class Client implements Beating {
  events: string[] = []
  isPaused = false
  isReceiveOnly = false
  silentChecks = -1

  ping(): void {
    this.events.push('ping')
  }

  destroy(): void {
    this.events.push('destroy')
  }

  /** What was done to it since the last call. */
  take(): string {
    return this.events.splice(0).join(',')
  }
}

let heartbeat: Heartbeat<Client> | undefined

function start(clients: Client[], pingIntervalS: number, pingNotResponseLimit: number, pings = true): void {
  const ping = pings ? (client: Client) => client.ping() : undefined
  heartbeat = new Heartbeat<Client>({ clients: () => clients, ping, pingIntervalS, pingNotResponseLimit })
  heartbeat.start()
}

/** What is done to a silent client at each of so many checks, `everyMs` apart. */
async function watch(client: Client, checks: number, everyMs: number): Promise<string[]> {
  const seen: string[] = []
  for (let at = 0; at < checks; at += 1) {
    await vi.advanceTimersByTimeAsync(everyMs - 1)
    expect(client.take()).toBe('')
    await vi.advanceTimersByTimeAsync(1)
    seen.push(client.take())
  }
  return seen
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  heartbeat?.stop()
  vi.useRealTimers()
})

describe('a silent client', () => {
  test.each([
    { limit: 0, everyMs: 10_000, seen: ['', 'ping', 'ping', 'ping', 'ping'] },
    { limit: 1, everyMs: 5_000, seen: ['', '', 'ping', 'destroy'] },
    { limit: 2, everyMs: 5_000, seen: ['', '', 'ping', '', 'ping', 'destroy'] },
  ])('with an interval of 10 s and a limit of $limit', async ({ limit, everyMs, seen }) => {
    const client = new Client()
    start([client], 10, limit)
    expect(await watch(client, seen.length, everyMs)).toEqual(seen)
  })

  test('is destroyed also where there is no ping data', async () => {
    const client = new Client()
    start([client], 10, 1, false)
    expect(await watch(client, 4, 5_000)).toEqual(['', '', '', 'destroy'])
  })
})

test('a client that speaks before every check is neither pinged nor destroyed', async () => {
  const client = new Client()
  start([client], 10, 1)
  for (let at = 0; at < 10; at += 1) {
    client.silentChecks = -1
    await vi.advanceTimersByTimeAsync(5_000)
  }
  expect(client.take()).toBe('')
})

test('a client that answers a ping starts anew', async () => {
  const client = new Client()
  start([client], 10, 1)
  expect(await watch(client, 3, 5_000)).toEqual(['', '', 'ping'])
  client.silentChecks = -1
  expect(await watch(client, 4, 5_000)).toEqual(['', '', 'ping', 'destroy'])
})

test('a client that we do not read is left alone until we do', async () => {
  const client = new Client()
  client.isPaused = true
  start([client], 10, 1)
  expect(await watch(client, 10, 5_000)).toEqual(Array(10).fill(''))
  client.isPaused = false
  expect(await watch(client, 4, 5_000)).toEqual(['', '', 'ping', 'destroy'])
})

test('without an interval, or after the stop, nothing happens', async () => {
  const client = new Client()
  start([client], 0, 1)
  await vi.advanceTimersByTimeAsync(1_000_000)
  start([client], 10, 0)
  heartbeat?.stop()
  await vi.advanceTimersByTimeAsync(1_000_000)
  expect(client.take()).toBe('')
})

test('a check goes through many clients in slices and lets other events in between', async () => {
  vi.useRealTimers()
  const clients = Array.from({ length: 2_500 }, () => new Client())
  const beat = new Heartbeat<Client>({ clients: () => clients, pingIntervalS: 10, pingNotResponseLimit: 0 })
  const check = beat.check()
  const checked = () => clients.filter(({ silentChecks }) => silentChecks > -1).length
  expect(checked()).toBe(1_000)
  await beat.check() // falls out: one is under way
  expect(checked()).toBeLessThan(2_500)
  await check
  expect(clients.every(({ silentChecks }) => silentChecks === 0)).toBe(true)
})
