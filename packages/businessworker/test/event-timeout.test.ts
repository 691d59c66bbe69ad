import { Command } from '@gatewayworker/protocol'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Inbox } from '../../gateway/test/support/inbox.ts'
import { EventTimeout, type Running } from '../src/event-timeout.ts'
import { findFunction } from '../src/find-function.ts'
import { defer, linkToRawGateway } from './support.ts'

describe('EventTimeout', () => {
  const TIMEOUT_MS = 1_000
  let watch: EventTimeout

  class Handler implements Running {
    endedAt: number | undefined
    startedTick = 0
    readonly #begin = performance.now()

    onEventTimeout(): void {
      expect(this.endedAt).toBeUndefined()
      this.endedAt = performance.now() - this.#begin
    }
  }

  function begin(): Handler {
    const handler = new Handler()
    watch.begin(handler)
    return handler
  }

  beforeEach(() => {
    vi.useFakeTimers()
    watch = new EventTimeout(TIMEOUT_MS)
    watch.start()
  })
  afterEach(() => {
    watch.stop()
    vi.useRealTimers()
  })

  test('finds each handler that runs for longer than the timeout, once, a twentieth of it late at most', () => {
    const first = begin()
    vi.advanceTimersByTime(330)
    const second = begin()
    vi.advanceTimersByTime(5_000)
    for (const { endedAt } of [first, second]) {
      expect(endedAt).toBeGreaterThanOrEqual(TIMEOUT_MS)
      expect(endedAt).toBeLessThanOrEqual(TIMEOUT_MS * 1.05)
    }
  })

  test('lets go of those that have settled', () => {
    const [settled, stuck] = [begin(), begin()]
    vi.advanceTimersByTime(TIMEOUT_MS * 0.9)
    watch.end(settled)
    vi.advanceTimersByTime(TIMEOUT_MS)
    expect([settled.endedAt, stuck.endedAt]).toEqual([undefined, expect.any(Number)])
  })

  test('blames nobody for a time in which the event loop stood still', () => {
    const handler = begin()
    vi.setSystemTime(Date.now() + 60_000) // timers fire once after a block, not once for each interval of it
    vi.advanceTimersByTime(TIMEOUT_MS / 20)
    expect(handler.endedAt).toBeUndefined()
  })

  test('of 0 finds nobody', () => {
    watch = new EventTimeout(0)
    watch.start()
    const handler = begin()
    vi.advanceTimersByTime(1_000_000)
    expect(handler.endedAt).toBeUndefined()
  })
})

describe('a handler that does not settle within the event timeout', () => {
  async function never(): Promise<void> {
    await new Promise(() => {})
  }

  test('is reported with event, client and place; its client is closed, and nothing of it stays unacknowledged', async () => {
    const seen = new Inbox<string>()
    const { gateway, log } = await linkToRawGateway(
      {
        onMessage: never,
        onClose: (_id, context) => seen.push(`close ${context.closeReason}`),
      },
      { eventTimeoutMs: 100 },
    )
    gateway.connect(1)
    for (const text of ['stuck', 'dropped', 'dropped']) gateway.message(1, text)
    const { details } = await log.next('did not settle')
    expect(details).toMatchObject({ droppedEvents: 2, event: 'onMessage', timeoutMs: 100 })
    expect(details.clientId).toMatch(/00000001$/)
    expect(details.messageId).toBe(`${details.clientId}-3`)
    expect(details.handler).toMatch(/event-timeout\.test\.ts:\d+$/)
    expect(await gateway.frames.next()).toMatchObject({ command: Command.HANDLER_TIMED_OUT, connectionId: 1 })
    let handled = 0
    while (handled < 5) for (const [, number] of await gateway.acknowledgements.next()) handled = number
    gateway.close(1, 'handler_timeout')
    expect(await seen.next()).toBe('close handler_timeout')
    expect(await gateway.acknowledgements.next()).toEqual([[1, 6]])
  })

  test('may settle late: that changes nothing', async () => {
    const late = defer()
    const { gateway, log } = await linkToRawGateway(
      {
        onMessage: async (_id, message, { session }) => {
          session.before = true
          if (message === 'late') await late.promise
          session.after = true
        },
      },
      { eventTimeoutMs: 100 },
    )
    gateway.connect(1)
    gateway.message(1, 'late')
    await log.next('did not settle')
    expect(await gateway.frames.next()).toMatchObject({ command: Command.HANDLER_TIMED_OUT })
    late.resolve()
    gateway.connect(2)
    gateway.message(2, 'prompt')
    // The first session that is stored is that of the other client.
    expect(await gateway.frames.next()).toMatchObject({ command: Command.PATCH_SESSION, connectionId: 2 })
    const numbers: number[] = []
    while (!numbers.includes(3)) {
      for (const [id, number] of await gateway.acknowledgements.next()) if (id === 1) numbers.push(number)
    }
    expect(log.of('did not settle')).toHaveLength(1)
  })

  test('may reject late: that is nobody’s error any more', async () => {
    const late = defer()
    const { gateway, log } = await linkToRawGateway({ onMessage: () => late.promise }, { eventTimeoutMs: 100 })
    gateway.connect(1)
    gateway.message(1, 'late')
    await log.next('did not settle')
    late.reject(new Error('too late'))
    await new Promise(setImmediate)
    expect(log.of('a handler threw')).toEqual([])
  })

  test('may be onClose: the client is gone then', async () => {
    const { gateway, log, worker } = await linkToRawGateway({ onClose: never }, { eventTimeoutMs: 100 })
    gateway.connect(1)
    gateway.close(1)
    expect((await log.next('did not settle')).details).toMatchObject({ event: 'onClose' })
    await vi.waitUntil(() => worker.stats().connections === 0, { interval: 1 })
    expect(gateway.commands).not.toContain(Command.HANDLER_TIMED_OUT)
  })

  test('does not hold up the stop of its worker', async () => {
    const { gateway, log, worker } = await linkToRawGateway({ onMessage: never }, { eventTimeoutMs: 100 })
    gateway.connect(1)
    gateway.message(1, 'stuck')
    await log.next('did not settle')
    await worker.stop(Number.POSITIVE_INFINITY)
  })

  test('holds no other client up meanwhile', async () => {
    const seen = new Inbox<string>()
    const { gateway } = await linkToRawGateway({
      onMessage: (id, message) => {
        if (id.endsWith('1')) return never()
        seen.push(String(message))
      },
    })
    gateway.connect(1)
    gateway.connect(2)
    gateway.message(1, 'stuck')
    gateway.message(2, 'hello')
    expect(await seen.next()).toBe('hello')
  })
})

test('findFunction names the file and line of a function, and nothing for one that is not written anywhere', () => {
  const here = () => {}
  expect(findFunction(here)).toMatch(/businessworker\/test\/event-timeout\.test\.ts:\d+$/)
  expect(findFunction(Math.max)).toBeUndefined()
  expect(findFunction(undefined)).toBeUndefined()
})
