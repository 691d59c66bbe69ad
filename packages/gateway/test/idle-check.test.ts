import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Askable, IdleCheck } from '../src/idle-check.ts'

const TIMEOUT_MS = 10_000

class Client implements Askable {
  asked = 0
  bufferedBytes = 0
  bytesOut = 0
  canAnswer = true
  heardAt = performance.now()
  idleAfterMs: number | undefined
  isPaused = false
  readonly #since = performance.now()

  ask(): boolean {
    this.asked += 1
    return this.canAnswer
  }

  onIdle(): void {
    this.idleAfterMs ??= performance.now() - this.#since
  }
}

let check: IdleCheck<Client>

function start(timeoutMs = TIMEOUT_MS): Client {
  const client = new Client()
  check = new IdleCheck({ clients: () => [client], onIdle: (idle) => idle.onIdle(), timeoutMs })
  check.start()
  return client
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  check.stop()
  vi.useRealTimers()
})

test('a silent client is asked once, after half of the time, and is idle at its end', async () => {
  const client = start()
  await vi.advanceTimersByTimeAsync(4_999)
  expect(client.asked).toBe(0)
  await vi.advanceTimersByTimeAsync(1)
  expect(client.asked).toBe(1)
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS)
  expect(client.asked).toBe(1)
  expect(client.idleAfterMs).toBe(TIMEOUT_MS)
})

test('one that answers is asked again after the next silence, and never idle', async () => {
  const client = start()
  for (let round = 1; round <= 5; round += 1) {
    await vi.advanceTimersByTimeAsync(5_500)
    expect(client.asked).toBe(round)
    client.heardAt = performance.now()
  }
  expect(client.idleAfterMs).toBeUndefined()
})

test('one that still reads what waits for it is not idle until it stops', async () => {
  const client = start()
  client.bytesOut = 1_000_000
  client.bufferedBytes = 900_000
  for (let round = 0; round < 10; round += 1) {
    await vi.advanceTimersByTimeAsync(4_000)
    client.bufferedBytes -= 1_000
  }
  expect(client.idleAfterMs).toBeUndefined()
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS)
  expect(client.idleAfterMs).toBeDefined()
})

test('what the kernel takes for one that is gone does not make it alive', async () => {
  const client = start()
  for (let round = 0; round < 11; round += 1) {
    client.bytesOut += 1_000
    await vi.advanceTimersByTimeAsync(1_000)
  }
  expect(client.idleAfterMs).toBe(TIMEOUT_MS)
})

test('one that cannot be asked is left alone', async () => {
  const client = start()
  client.canAnswer = false
  await vi.advanceTimersByTimeAsync(5 * TIMEOUT_MS)
  expect(client.idleAfterMs).toBeUndefined()
})

test('one that is not read is asked once in the time-out, and never idle; its time begins when it is read again', async () => {
  const client = start()
  client.isPaused = true
  await vi.advanceTimersByTimeAsync(5 * TIMEOUT_MS)
  expect(client.asked).toBe(5)
  expect(client.idleAfterMs).toBeUndefined()
  client.isPaused = false
  await vi.advanceTimersByTimeAsync(0.4 * TIMEOUT_MS)
  expect(client.idleAfterMs).toBeUndefined()
  await vi.advanceTimersByTimeAsync(0.2 * TIMEOUT_MS)
  expect(client.idleAfterMs).toBeDefined()
})

test('without a time-out nobody is asked', async () => {
  const client = start(0)
  await vi.advanceTimersByTimeAsync(1_000_000)
  expect(client.asked).toBe(0)
})
