import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Command } from '../src/commands.ts'
import type { GatewayWorkerError } from '../src/errors.ts'
import { buildFrame } from './build-frame.ts'
import { endOfTurn, linkToSocket, readFrames, signal } from './link-pair.ts'

const KEEP_ALIVE_MS = 1000
const LINK_TIMEOUT_MS = 3 * KEEP_ALIVE_MS

// Only the interval is fake: the sockets are real, and so is the turn of the event loop that a verdict waits for.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
})

afterEach(() => {
  vi.useRealTimers()
})

describe('keep-alive', () => {
  it('says PING in every interval in which nothing else was said', async () => {
    const { far } = await linkToSocket({}, { linkTimeoutMs: LINK_TIMEOUT_MS })
    const next = nextCommands(far)
    for (let n = 0; n < 2; n += 1) {
      vi.advanceTimersByTime(KEEP_ALIVE_MS)
      expect(await next()).toBe(Command.PING)
    }
  })

  it('says nothing in an interval in which something was said and heard', async () => {
    const heard = signal()
    const { link, far } = await linkToSocket({ onFrame: () => heard.resolve() }, { linkTimeoutMs: LINK_TIMEOUT_MS })
    const next = nextCommands(far)
    link.send(Command.SEND_TO_ALL)
    expect(await next()).toBe(Command.SEND_TO_ALL)
    far.write(buildFrame({ cmd: Command.SEND_TO_ALL }))
    await heard.promise
    vi.advanceTimersByTime(KEEP_ALIVE_MS)
    link.send(Command.SEND_TO_ONE)
    expect(await next()).toBe(Command.SEND_TO_ONE)
  })

  it('asks a silent peer for a PING, and answers one that asks, so that the intervals of both may differ', async () => {
    const { far } = await linkToSocket({}, { linkTimeoutMs: LINK_TIMEOUT_MS })
    const ids: number[] = []
    const seen = readFrames(far, ({ command, id }) => {
      if (command === Command.PING) ids.push(id)
      return ids.length === 2
    })
    far.write(buildFrame({ cmd: Command.PING })) // wants no answer
    far.write(buildFrame({ cmd: Command.PING, local_ip: 1 })) // its id
    await vi.waitUntil(() => ids.length === 1)
    vi.advanceTimersByTime(2 * KEEP_ALIVE_MS) // in the second of these nothing was heard
    await seen
    expect(ids).toEqual([0, 1])
  })

  it('ends a link whose peer was silent for three intervals, and not sooner', async () => {
    const closed = signal<GatewayWorkerError | undefined>()
    const { link, far } = await linkToSocket(
      { onClose: (_link, error) => closed.resolve(error) },
      { linkTimeoutMs: LINK_TIMEOUT_MS },
    )
    far.resume()
    for (let n = 0; n < 2; n += 1) {
      vi.advanceTimersByTime(KEEP_ALIVE_MS)
      await endOfTurn()
      await endOfTurn()
      expect(link.isClosed).toBe(false)
    }
    vi.advanceTimersByTime(KEEP_ALIVE_MS)
    expect(await closed.promise).toMatchObject({ code: 'LINK_TIMED_OUT' })
  })

  it.each([
    ['ends a link that is not read itself when the peer takes nothing for three intervals', false],
    ['leaves a link that is not read itself as long as the peer takes what is said', true],
  ])('%s', async (_name, isTaken) => {
    const closed = signal<GatewayWorkerError | undefined>()
    const { link, far } = await linkToSocket(
      { onClose: (_link, error) => closed.resolve(error) },
      { linkTimeoutMs: LINK_TIMEOUT_MS },
    )
    link.pause()
    // More than the kernel holds for a peer that does not read.
    for (let n = 0; n < 20; n += 1) link.send(Command.SEND_TO_ALL, 0, 0, '', 'x'.repeat(1_000_000))
    link.flush()
    if (isTaken) far.resume()
    if (isTaken) await vi.waitUntil(() => link.bufferedBytes === 0)
    for (let n = 0; n < 5; n += 1) {
      vi.advanceTimersByTime(KEEP_ALIVE_MS)
      await endOfTurn()
      await endOfTurn()
    }
    expect(link.isClosed).toBe(!isTaken)
    if (!isTaken) expect(await closed.promise).toMatchObject({ code: 'LINK_TIMED_OUT' })
  })

  it('leaves a link that is not read itself while the peer takes what is said slowly', async () => {
    const { link, far } = await linkToSocket({}, { linkTimeoutMs: LINK_TIMEOUT_MS })
    link.pause()
    for (let n = 0; n < 80; n += 1) link.send(Command.SEND_TO_ALL, 0, 0, '', 'x'.repeat(1_000_000))
    await endOfTurn()
    for (let n = 0; n < 5; n += 1) {
      const before = link.bufferedBytes
      far.resume()
      while (link.bufferedBytes >= before) await endOfTurn()
      far.pause()
      vi.advanceTimersByTime(KEEP_ALIVE_MS)
      await endOfTurn()
      await endOfTurn()
      expect(link.isClosed).toBe(false)
      expect(link.bufferedBytes).toBeGreaterThan(0) // else there is nothing slow about it
    }
  })

  it('counts anew with everything that is heard', async () => {
    let heard = signal()
    const { link, far } = await linkToSocket({ onFrame: () => heard.resolve() }, { linkTimeoutMs: LINK_TIMEOUT_MS })
    for (let n = 0; n < 4; n += 1) {
      heard = signal()
      vi.advanceTimersByTime(2 * KEEP_ALIVE_MS)
      far.write(buildFrame({ cmd: Command.SEND_TO_ALL }))
      await heard.promise
      vi.advanceTimersByTime(KEEP_ALIVE_MS) // takes note of it
    }
    await endOfTurn()
    expect(link.isClosed).toBe(false)
  })

  it('reads first what came while this process itself stood still', async () => {
    const heard = signal()
    const { link, far } = await linkToSocket({ onFrame: () => heard.resolve() }, { linkTimeoutMs: LINK_TIMEOUT_MS })
    vi.advanceTimersByTime(2 * KEEP_ALIVE_MS)
    await new Promise((resolve) => {
      setTimeout(resolve, 1)
      far.write(buildFrame({ cmd: Command.SEND_TO_ALL }))
      for (const until = performance.now() + 5; performance.now() < until; ); // a handler that takes its time
    })
    expect(link.isClosed).toBe(false)
    vi.advanceTimersByTime(KEEP_ALIVE_MS) // the timer fires before the sockets are looked at
    await heard.promise
    await endOfTurn()
    expect(link.isClosed).toBe(false)
  })

  it('does not blame a peer that it does not read', async () => {
    const { link } = await linkToSocket({}, { linkTimeoutMs: LINK_TIMEOUT_MS })
    link.pause()
    vi.advanceTimersByTime(10 * KEEP_ALIVE_MS)
    await endOfTurn()
    await endOfTurn()
    expect(link.isClosed).toBe(false)
  })

  it('ends with its link', async () => {
    const closed = signal()
    const { link } = await linkToSocket({ onClose: () => closed.resolve() }, { linkTimeoutMs: LINK_TIMEOUT_MS })
    expect(vi.getTimerCount()).toBe(1)
    link.close()
    await closed.promise
    expect(vi.getTimerCount()).toBe(0)
  })
})

/** Each call resolves with the command of the next frame that the socket receives. */
function nextCommands(socket: Socket): () => Promise<number> {
  const commands: number[] = []
  let waiting: ((command: number) => void) | undefined
  void readFrames(socket, ({ command }) => {
    if (waiting === undefined) commands.push(command)
    else waiting(command)
    waiting = undefined
    return false
  })
  return () =>
    new Promise((resolve) => {
      const command = commands.shift()
      if (command === undefined) waiting = resolve
      else resolve(command)
    })
}
