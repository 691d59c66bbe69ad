import { once } from 'node:events'
import { Command } from '@gatewayworker/protocol'
import { describe, expect, test, vi } from 'vitest'
import type { GatewayServer, GatewayServerOptions } from '../src/index.ts'
import { linkPhpWorker } from './support/php-peer.ts'
import { linkWorker, type RawPeer } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient, type TestClient } from './support/test-client.ts'
import { kill, told } from './support/told.ts'

/** Connects a client of which the worker has handled the beginning. */
async function connectTo(worker: RawPeer, gateway: GatewayServer): Promise<{ client: TestClient; id: number }> {
  const client = await connectClient(gateway)
  const id = await worker.nextClient()
  worker.acknowledge(id, 2)
  await worker.settled()
  return { client, id }
}

async function start(options: Partial<GatewayServerOptions> = {}) {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, messageRate: 0, byteRate: 0, ...options })
  const worker = await linkWorker(gateway)
  return { gateway, log, worker }
}

/** Says something and is answered fifty times: meanwhile the gateway has read what it wants to of every other client. */
async function talk(worker: RawPeer, { client, id }: { client: TestClient; id: number }): Promise<void> {
  for (let at = 1; at <= 50; at += 1) {
    client.send(`turn ${at}`)
    const { connectionId } = await worker.frames.find(({ body }) => String(body) === `turn ${at}`)
    expect(connectionId).toBe(id)
    worker.acknowledge(id, 2 + at)
  }
}
describe('the window of a client', () => {
  test('bounds the events that its worker has unacknowledged; each acknowledgement opens it again', async () => {
    const { gateway, worker } = await start({ clientWindow: 3 })
    const { client, id } = await connectTo(worker, gateway)
    for (let at = 1; at <= 9; at += 1) client.send(String(at))
    expect(await told(worker, 3)).toEqual(['message 1', 'message 2', 'message 3'])
    await worker.settled()
    expect(worker.frames.size).toBe(0)
    worker.acknowledge(id, 2 + 1)
    expect(await told(worker, 1)).toEqual(['message 4'])
    worker.acknowledge(id, 2 + 4)
    expect(await told(worker, 3)).toEqual(['message 5', 'message 6', 'message 7'])
    await worker.settled()
    expect(worker.frames.size).toBe(0)
    worker.acknowledge(id, 2 + 7)
    expect(await told(worker, 2)).toEqual(['message 8', 'message 9'])
  })

  test('bounds their bytes, too; one event is told however long it is', async () => {
    const { gateway, worker } = await start({ clientWindowBytes: 2_500 })
    const { client, id } = await connectTo(worker, gateway)
    const messages = ['a'.repeat(10_000), 'b'.repeat(1_000), 'c'.repeat(1_000), 'd'.repeat(1_000)]
    for (const message of messages) client.send(message)
    expect(await told(worker, 1)).toEqual([`message ${messages[0]}`])
    await worker.settled()
    expect(worker.frames.size).toBe(0)
    worker.acknowledge(id, 3)
    expect(await told(worker, 2)).toEqual([`message ${messages[1]}`, `message ${messages[2]}`])
    await worker.settled()
    expect(worker.frames.size).toBe(0)
    worker.acknowledge(id, 4)
    expect(await told(worker, 1)).toEqual([`message ${messages[3]}`])
  })

  test('holds back that client only, which is not read, and nothing of it is lost', async () => {
    const { gateway, worker } = await start()
    const chatty = await connectTo(worker, gateway)
    const quiet = await connectTo(worker, gateway)
    const MESSAGES = 400
    const filler = 'x'.repeat(64 * 1024)
    for (let at = 0; at < MESSAGES; at += 1) chatty.client.send(`${at} ${filler}`)
    await talk(worker, quiet)
    expect(chatty.client.socket.bufferedAmount).toBeGreaterThan(0)
    expect(gateway.stats().pausedClients).toBe(1)
    let handled = 2
    const numbers: number[] = []
    // What came before the turns was thrown away by them: three messages fit into 256 KiB.
    for (let at = 0; at < 3; at += 1) worker.acknowledge(chatty.id, ++handled)
    while (handled < 2 + MESSAGES) {
      const { body, connectionId } = await worker.next(Command.ON_MESSAGE)
      expect(connectionId).toBe(chatty.id)
      numbers.push(Number.parseInt(String(body.subarray(0, 8)), 10))
      worker.acknowledge(chatty.id, ++handled)
    }
    expect(numbers).toEqual(Array.from({ length: MESSAGES - 3 }, (_, at) => at + 3))
    await vi.waitUntil(() => gateway.stats().pausedClients === 0, { interval: 1 })
  })

  test.each([
    ['tiny messages', 200, 500, ''],
    ['messages of 64 KiB', 12, 20, 'x'.repeat(64 * 1024)],
  ])(
    'of chatty clients whose handlers never settle leaves quiet ones their turns: %s',
    async (_what, count, messages, filler) => {
      const { gateway, worker } = await start()
      const quiet = await connectTo(worker, gateway)
      const chatty = await Promise.all(Array.from({ length: count }, () => connectClient(gateway)))
      for (const client of chatty) for (let at = 0; at < messages; at += 1) client.send(`${at}${filler}`)
      await talk(worker, quiet)
    },
  )

  test('lets go of a client that leaves while its window is full, though its end cannot be read', async () => {
    const { gateway, worker } = await start({ clientWindow: 2, idleTimeoutMs: 400 })
    const { client, id } = await connectTo(worker, gateway)
    const filler = Buffer.alloc(256 * 1024)
    for (let at = 1; at <= 2; at += 1) client.send(String(at))
    for (let at = 1; at <= 40; at += 1) client.send(filler)
    expect(await told(worker, 2)).toEqual(['message 1', 'message 2'])
    client.socket.terminate()
    // Its end is behind ten megabytes that are not read: only a ping that fails tells.
    await vi.waitUntil(() => gateway.stats().connections === 0, { interval: 5, timeout: 5_000 })
    worker.acknowledge(id, 4)
    for (;;) {
      const { command, connectionId } = await worker.frames.next()
      if (command === Command.ON_CLOSE) break
      expect(connectionId).toBe(id)
      worker.acknowledge(id, 5)
    }
  })

  test('keeps a client that lives, however long it is not read', async () => {
    const { gateway, worker } = await start({ clientWindow: 2, idleTimeoutMs: 200 })
    const { client } = await connectTo(worker, gateway)
    for (let at = 1; at <= 3; at += 1) client.send(String(at))
    expect(await told(worker, 2)).toEqual(['message 1', 'message 2'])
    for (let pings = 0; pings < 3; pings += 1) await once(client.socket, 'ping')
    expect(gateway.stats()).toMatchObject({ connections: 1, idleClients: 0, pausedClients: 1 })
  })
})

describe('a worker at its bound', () => {
  const MESSAGE = 'x'.repeat(10_000)

  /** A worker that has as much unacknowledged as it may, of two clients that have more waiting. */
  async function startFull() {
    const { gateway, log, worker } = await start({ clientWindow: 5, sendToWorkerBufferSizeBytes: 60_000 })
    const one = await connectTo(worker, gateway)
    const other = await connectTo(worker, gateway)
    for (let at = 1; at <= 9; at += 1) one.client.send(`one ${at} ${MESSAGE}`)
    const first = await names(worker, 5)
    expect(first).toEqual(['one 1', 'one 2', 'one 3', 'one 4', 'one 5'])
    for (let at = 1; at <= 9; at += 1) other.client.send(`other ${at} ${MESSAGE}`)
    // One more fits below the bound.
    expect(await names(worker, 1)).toEqual(['other 1'])
    await worker.settled()
    expect(worker.frames.size).toBe(0)
    return { gateway, log, one, other, worker }
  }

  /** The next messages, each as its first two words. */
  async function names(worker: RawPeer, count: number): Promise<string[]> {
    return (await told(worker, count)).map((message) => message.split(' ').slice(1, 3).join(' '))
  }

  test('is told the first event of a client that has nothing under way', async () => {
    const { gateway, worker } = await startFull()
    await connectClient(gateway)
    expect(await told(worker, 2)).toEqual(['context 0', 'connect'])
    await worker.settled()
    expect(worker.frames.size).toBe(0)
    const { rows } = gateway.connections({ limit: 10, offset: 0 })
    worker.acknowledge(Number.parseInt(rows.at(-1)!.clientId.slice(12), 16), 1)
    expect(await told(worker, 1)).toEqual(['handshake'])
  })

  test('serves those that wait in turn, one event for each that it acknowledges', async () => {
    const { one, other, worker } = await startFull()
    worker.acknowledge(one.id, 2 + 3)
    expect(await names(worker, 3)).toEqual(['other 2', 'one 6', 'other 3'])
    await worker.settled()
    expect(worker.frames.size).toBe(0)
    worker.acknowledge(other.id, 2 + 3)
    expect(await names(worker, 3)).toEqual(['other 4', 'one 7', 'other 5'])
  })

  test('is reported once', async () => {
    const { log, one, other, worker } = await startFull()
    worker.acknowledge(one.id, 2 + 5)
    worker.acknowledge(other.id, 2 + 1)
    await worker.settled()
    expect(log.of('a worker is too slow')).toHaveLength(1)
  })

  test('makes no client wait any more when it is gone', async () => {
    const { gateway, log, worker } = await startFull()
    const next = await linkWorker(gateway, 'next:0', { acknowledges: true })
    await kill(worker, log)
    const messages: string[] = []
    while (messages.length < 18) messages.push(String((await next.next(Command.ON_MESSAGE)).body).slice(0, 7))
    for (const name of ['one', 'other']) {
      expect(messages.filter((message) => message.startsWith(name))).toHaveLength(9)
    }
    expect(gateway.stats().pausedClients).toBe(0)
  })

  test('makes no client wait any more that it has handed over', async () => {
    const { gateway, one, worker } = await startFull()
    const next = await linkWorker(gateway, 'next:0')
    await worker.leave()
    worker.acknowledge(one.id, 2 + 5)
    expect(await told(next, 1)).toEqual(['context 7'])
    expect(await names(next, 1)).toEqual(['one 6'])
  })
})

test('a PHP worker that does not read gets the clients in turn: one that floods does not keep a quiet one waiting', async () => {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, messageRate: 0, byteRate: 0 })
  const php = await linkPhpWorker(gateway)
  const flood = await connectClient(gateway)
  await php.nextClient()
  const quiet = await connectClient(gateway)
  const quietId = await php.nextClient()
  php.raw.socket.pause()
  const filler = 'x'.repeat(60 * 1024)
  const MESSAGES = 1_000
  for (let at = 0; at < MESSAGES; at += 1) flood.send(filler)
  await log.next('a worker is too slow')
  quiet.send('hello')
  quiet.socket.ping() // answered when what was said before has been read
  await once(quiet.socket, 'pong')
  php.raw.socket.resume()
  let before = 0
  for (;;) {
    const { body, connectionId } = await php.event()
    if (connectionId === quietId) {
      expect(body).toBe('hello')
      break
    }
    before += 1
  }
  // What the kernel holds comes before it, and what a turn takes: not all that the other has to say.
  expect(before).toBeLessThan(MESSAGES / 2)
  for (let left = MESSAGES - before; left > 0; left -= 1) await php.event()
})
