import { Command, msgpack } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import type { RoutableWorker, RoutedClient } from '../src/index.ts'
import { linkPeer, linkWorker, type RawPeer } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'
import { kill } from './support/told.ts'

/** The next events of any client at this worker, as command and message; contexts and sessions are left out. */
async function eventsOf(worker: RawPeer, count: number): Promise<[command: number, message: string][]> {
  const events: [number, string][] = []
  while (events.length < count) {
    const { body, command } = await worker.frames.next()
    if (command === Command.CLIENT_CONTEXT || command === Command.SESSION_CHANGED) continue
    events.push([command, command === Command.ON_MESSAGE ? String(body) : ''])
  }
  return events
}

describe('a client and its worker', () => {
  test('the worker hears who the client is before its first event, and only once', async () => {
    const gateway = await startGateway()
    const worker = await linkWorker(gateway)
    const client = await connectClient(gateway)
    client.send('a')
    client.close()
    const frames = await worker.frames.take(5)
    expect(frames.map(({ command }) => command)).toEqual([
      Command.CLIENT_CONTEXT,
      Command.ON_CONNECT,
      Command.ON_WEBSOCKET_CONNECT,
      Command.ON_MESSAGE,
      Command.ON_CLOSE,
    ])
    expect(new Set(frames.map(({ connectionId }) => connectionId)).size).toBe(1)
  })

  test('a binary message says so', async () => {
    const gateway = await startGateway()
    const worker = await linkWorker(gateway)
    const client = await connectClient(gateway)
    client.send(Buffer.from([0, 255]))
    expect(await worker.next(Command.ON_MESSAGE)).toMatchObject({ body: Buffer.from([0, 255]), flag: 5 })
  })

  test('clients spread over the workers by their count, and each stays with its own', async () => {
    const gateway = await startGateway()
    const workers = [await linkWorker(gateway, 'worker:0'), await linkWorker(gateway, 'worker:1')]
    const clients = [await connectClient(gateway), await connectClient(gateway), await connectClient(gateway)]
    clients[1]!.close()
    expect(await eventsOf(workers[1]!, 3)).toEqual([
      [Command.ON_CONNECT, ''],
      [Command.ON_WEBSOCKET_CONNECT, ''],
      [Command.ON_CLOSE, ''],
    ])
    const last = await connectClient(gateway)
    last.send('last')
    clients[0]!.send('first')
    expect((await eventsOf(workers[1]!, 3))[2]).toEqual([Command.ON_MESSAGE, 'last'])
    expect((await eventsOf(workers[0]!, 5))[4]).toEqual([Command.ON_MESSAGE, 'first'])
  })

  test('of two processes with the same label both are served, of two links of one process the newer', async () => {
    const gateway = await startGateway()
    const older = await linkWorker(gateway, 'worker:0', { instance: 'one process' })
    await linkWorker(gateway, 'worker:0', { instance: 'another process' })
    await older.settled()
    await linkWorker(gateway, 'worker:0', { instance: 'one process' })
    await older.closed
  })
})

describe('a router of the user', () => {
  test('is asked once for each client, with the workers, the client and its first event', async () => {
    const asked: [string[], RoutedClient, number][] = []
    const gateway = await startGateway({
      router: (workers, client, command) => {
        asked.push([workers.map(({ key }) => key), client, command])
        return workers.at(-1)!
      },
    })
    await linkWorker(gateway, 'chat:0')
    const chosen = await linkWorker(gateway, 'chat:1')
    const client = await connectClient(gateway)
    client.send('a')
    const { connectionId } = await chosen.next(Command.ON_MESSAGE)
    expect(asked).toHaveLength(1)
    const [keys, routed, command] = asked[0]!
    expect(keys).toEqual(['127.0.0.1:chat:0', '127.0.0.1:chat:1'])
    expect(routed).toMatchObject({
      clientId: chosen.clientId(connectionId),
      remoteAddress: '127.0.0.1',
      uid: undefined,
    })
    expect(command).toBe(Command.ON_CONNECT)
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('broken')
      },
      'the router threw',
    ],
    ['returns nothing', () => undefined, 'none of the workers'],
    ['returns a worker of its own making', () => ({ clientCount: 0, key: 'x' }), 'none of the workers'],
    ['returns a promise', async (workers: readonly RoutableWorker[]) => workers[0], 'none of the workers'],
  ])('that %s is logged, and the least busy worker is taken', async (_what, router, message) => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log, router: router as never })
    const worker = await linkWorker(gateway)
    const client = await connectClient(gateway)
    client.send('a')
    const { connectionId } = await worker.next(Command.ON_MESSAGE)
    expect(log.of(message)).toMatchObject([{ level: 'error', details: { clientId: worker.clientId(connectionId) } }])
  })
})

describe('without a worker', () => {
  test('a client waits, and the first worker that links gets all it said, in order', async () => {
    const gateway = await startGateway()
    const client = await connectClient(gateway)
    for (const text of ['a', 'b', 'c']) client.send(text)
    const worker = await linkWorker(gateway)
    client.send('d')
    expect(await eventsOf(worker, 6)).toEqual([
      [Command.ON_CONNECT, ''],
      [Command.ON_WEBSOCKET_CONNECT, ''],
      ...['a', 'b', 'c', 'd'].map((text) => [Command.ON_MESSAGE, text]),
    ])
  })

  test('a client is not read: what it says stays with it', async () => {
    const gateway = await startGateway()
    const client = await connectClient(gateway)
    const message = Buffer.alloc(1024 * 1024)
    for (let at = 0; at < 32; at += 1) client.send(message)
    // As long as 50 other clients take to come; a client that is read gets rid of its megabytes within a few of them.
    for (let at = 0; at < 50; at += 1) (await connectClient(gateway)).close()
    expect(client.socket.bufferedAmount).toBeGreaterThan(0)
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    for (let at = 0; at < 32; at += 1) await worker.next(Command.ON_MESSAGE)
  })

  test('a client is closed with 1013 when none comes in time', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log, noWorkerTimeoutMs: 50 })
    const client = await connectClient(gateway)
    client.send('unread')
    const begin = performance.now()
    expect(await client.closed).toEqual({ code: 1013, reason: 'no worker' })
    // The client's own close frame was read, although the client was not: nobody had to be cut off.
    expect(performance.now() - begin).toBeLessThan(1_500)
    expect(log.of('no worker came')).toHaveLength(1)
    expect(gateway.clientCount).toBe(0)
    // No worker ever hears of it.
    const worker = await linkWorker(gateway)
    const other = await connectClient(gateway)
    other.send('other')
    expect(await eventsOf(worker, 3)).toEqual([
      [Command.ON_CONNECT, ''],
      [Command.ON_WEBSOCKET_CONNECT, ''],
      [Command.ON_MESSAGE, 'other'],
    ])
  })

  test('a client that was served in time is not closed any more', async () => {
    const gateway = await startGateway({ noWorkerTimeoutMs: 100 })
    const client = await connectClient(gateway)
    const worker = await linkWorker(gateway)
    await worker.nextClient()
    // Another gateway's client is closed when the time of this one would be over, too.
    const clock = await connectClient(await startGateway({ noWorkerTimeoutMs: 100 }))
    await clock.closed
    client.send('served')
    expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe('served')
  })

  test('the time begins anew when the worker of a client has died', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log, noWorkerTimeoutMs: 100 })
    const client = await connectClient(gateway)
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    await worker.nextClient()
    await kill(worker, log)
    const begin = performance.now()
    client.send('anybody?')
    expect((await client.closed).code).toBe(1013)
    expect(performance.now() - begin).toBeGreaterThan(90)
  })
})

describe('a worker that dies', () => {
  test('is followed by another for each client, which hears context and session first', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log })
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const client = await connectClient(gateway)
    const id = await worker.nextClient()
    worker.link.send(Command.SET_SESSION, id, 0, msgpack.encode({ a: 1 }))
    await worker.settled()
    const next = await linkWorker(gateway, 'worker:1')
    await kill(worker, log)
    client.send('a')
    const [context, message] = await next.frames.take(2)
    expect(context).toMatchObject({ command: Command.CLIENT_CONTEXT, connectionId: id })
    expect(msgpack.decode(context!.ext)).toEqual({ a: 1 })
    expect(message).toMatchObject({ command: Command.ON_MESSAGE, connectionId: id })
  })

  test('leaves the ON_CLOSE of its clients to the next worker, even to one that comes much later', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log, noWorkerTimeoutMs: 50 })
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const [one, other] = [await connectClient(gateway), await connectClient(gateway)]
    const ids = [await worker.nextClient(), await worker.nextClient()]
    await kill(worker, log)
    one.close()
    other.send('last words')
    other.close()
    await Promise.all([one.closed, other.closed])
    const unknown = await connectClient(gateway)
    expect((await unknown.closed).code).toBe(1013)
    expect(log.of('no worker came')).toHaveLength(1)
    const next = await linkWorker(gateway)
    const closes = [await next.next(Command.ON_CLOSE), await next.next(Command.ON_CLOSE)]
    expect(closes.map(({ connectionId }) => connectionId).sort()).toEqual(ids.sort())
    await next.settled()
    expect(next.frames.size).toBe(0)
  })
})

test('a worker that does not read makes its clients wait; others are served, and nothing is lost', async () => {
  const MESSAGES = 128
  const log = new RecordedLog()
  const gateway = await startGateway({ log, sendToWorkerBufferSizeBytes: 1_000 })
  const slow = await linkWorker(gateway, 'slow:0', { acknowledges: true })
  const client = await connectClient(gateway)
  await slow.nextClient()
  const quick = await linkWorker(gateway, 'quick:0', { acknowledges: true })
  const other = await connectClient(gateway)
  await quick.nextClient()

  slow.link.pause()
  const message = Buffer.alloc(256 * 1024)
  for (let at = 0; at < MESSAGES; at += 1) {
    message.writeUInt32BE(at)
    client.send(Buffer.from(message))
  }
  await log.next('a worker is too slow')
  for (let at = 0; at < 200; at += 1) {
    other.send(String(at))
    expect(String((await quick.next(Command.ON_MESSAGE)).body)).toBe(String(at))
  }
  expect(client.socket.bufferedAmount).toBeGreaterThan(0)

  slow.link.resume()
  for (let at = 0; at < MESSAGES; at += 1) {
    const { body } = await slow.next(Command.ON_MESSAGE)
    expect([body.readUInt32BE(), body.length]).toEqual([at, message.length])
  }
})

test('a session cannot grow so long that the next worker could not be told of it', async () => {
  const log = new RecordedLog()
  const gateway = await startGateway({ log })
  const worker = await linkWorker(gateway, 'worker:0')
  const backend = await linkPeer(gateway)
  const client = await connectClient(gateway)
  const id = await worker.nextClient()
  const part = 'x'.repeat(3 * 1024 * 1024)
  await backend.ask(Command.UPDATE_SESSION, msgpack.encode({ a: part }), id)
  await expect(backend.ask(Command.UPDATE_SESSION, msgpack.encode({ b: part }), id)).rejects.toMatchObject({
    code: 'BAD_SESSION',
  })
  const next = await linkWorker(gateway, 'worker:1')
  await kill(worker, log)
  client.send('a')
  expect(msgpack.decode((await next.next(Command.CLIENT_CONTEXT)).ext)).toEqual({ a: part })
})
