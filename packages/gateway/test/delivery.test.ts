import { Command, msgpack } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import type { RoutedClient } from '../src/index.ts'
import { linkPhpWorker } from './support/php-peer.ts'
import { acknowledgement, linkPeer, linkWorker, type RawPeer } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient, type TestClient } from './support/test-client.ts'
import { kill, told } from './support/told.ts'

/** Sends to a client's worker, which has handled that the client is there, and returns the client's connection id. */
async function tell(worker: RawPeer, client: TestClient, ...messages: string[]): Promise<number> {
  const id = await worker.nextClient()
  worker.acknowledge(id, 2)
  for (const message of messages) client.send(message)
  expect(await told(worker, messages.length)).toEqual(messages.map((message) => `message ${message}`))
  return id
}

/** A gateway with a worker that has handled a client's beginning and nothing of what it said then. */
async function startBusy(...messages: string[]) {
  const log = new RecordedLog()
  const gateway = await startGateway({ log })
  const worker = await linkWorker(gateway, 'worker:0')
  const client = await connectClient(gateway)
  return { client, gateway, id: await tell(worker, client, ...messages), log, worker }
}

describe('what a worker has not acknowledged when it dies', () => {
  test('goes to the next one: from the first such event on, in order, marked, and before anything newer', async () => {
    const { client, gateway, id, log, worker } = await startBusy('a', 'b', 'c')
    worker.acknowledge(id, 3)
    await kill(worker, log)
    client.send('d')
    const next = await linkWorker(gateway, 'worker:1')
    expect(await told(next, 4)).toEqual(['context 3', 'again message b', 'again message c', 'message d'])
    expect(gateway.stats()).toMatchObject({ poisonEvents: 0, redeliveredEvents: 2 })
  })

  test('goes there from the very beginning, if nothing was acknowledged', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log })
    const worker = await linkWorker(gateway)
    const client = await connectClient(gateway, '/?a=1')
    const handshake = await worker.next(Command.ON_WEBSOCKET_CONNECT)
    client.send(Buffer.from([0, 255]))
    const message = await worker.next(Command.ON_MESSAGE)
    const next = await linkWorker(gateway, 'worker:1')
    await kill(worker, log)
    const again = await next.frames.take(4)
    expect(again.map(({ command }) => command)).toEqual([
      Command.CLIENT_CONTEXT,
      Command.ON_CONNECT,
      Command.ON_WEBSOCKET_CONNECT,
      Command.ON_MESSAGE,
    ])
    // All of it is as it was, and says besides that it comes again.
    expect(again[0]!.id).toBe(0)
    expect(again[2]).toEqual({ ...handshake, flag: 64 })
    expect(again[3]).toEqual({ ...message, flag: 1 | 4 | 64 })
  })

  test('goes on and on, with what was told meanwhile, and with the same numbers', async () => {
    const { client, gateway, id, log, worker } = await startBusy('a', 'b')
    const second = await linkWorker(gateway, 'worker:1')
    await kill(worker, log)
    expect(await told(second, 3)).toEqual(['context 2', 'again message a', 'again message b'])
    second.acknowledge(id, 3)
    client.send('c')
    expect(await told(second, 1)).toEqual(['message c'])
    const third = await linkWorker(gateway, 'worker:2')
    await kill(second, log)
    expect(await told(third, 3)).toEqual(['context 3', 'again message b', 'again message c'])
    expect(gateway.stats().redeliveredEvents).toBe(4)
  })

  test('comes before the end of its client', async () => {
    const { client, gateway, log, worker } = await startBusy('a')
    client.close()
    expect(await told(worker, 1)).toEqual(['close client'])
    const next = await linkWorker(gateway, 'worker:1')
    await kill(worker, log)
    expect(await told(next, 3)).toEqual(['context 2', 'again message a', 'again close client'])
  })

  test('comes before an end that nobody was told yet', async () => {
    const { gateway, id, log, worker } = await startBusy('a')
    const backend = await linkPeer(gateway)
    await kill(worker, log)
    await backend.ask(Command.DESTROY, '', id)
    const next = await linkWorker(gateway, 'worker:1')
    expect(await told(next, 3)).toEqual(['context 2', 'again message a', 'close kicked'])
  })

  test('is told on the new link, when the process has linked again', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log })
    const worker = await linkWorker(gateway, 'worker:0', { instance: 'the process' })
    const client = await connectClient(gateway)
    await tell(worker, client, 'a')
    const again = await linkWorker(gateway, 'worker:0', { instance: 'the process' })
    await worker.closed
    expect(await told(again, 2)).toEqual(['context 2', 'again message a'])
  })
})

test('a client without such events moves at once: the next worker hears who it is, and what its session is', async () => {
  const asked: [RoutedClient, number, number][] = []
  const log = new RecordedLog()
  const gateway = await startGateway({
    log,
    router: (workers, client, command, body) => {
      asked.push([client, command, body.length])
      return workers[0]!
    },
  })
  const worker = await linkWorker(gateway)
  const client = await connectClient(gateway)
  const id = await worker.nextClient()
  worker.link.send(Command.SET_SESSION, id, 0, msgpack.encode({ a: 1 }))
  worker.acknowledge(id, 2)
  const next = await linkWorker(gateway, 'worker:1')
  await kill(worker, log)
  const context = await next.frames.next()
  expect(context).toMatchObject({ command: Command.CLIENT_CONTEXT, connectionId: id, id: 2 })
  expect(msgpack.decode(context.ext)).toEqual({ a: 1 })
  expect(asked).toMatchObject([
    [{ clientId: worker.clientId(id) }, Command.ON_CONNECT, 0],
    [{ clientId: worker.clientId(id) }, Command.CLIENT_CONTEXT, 0],
  ])
  client.send('a')
  expect(await told(next, 1)).toEqual(['message a'])
})

describe('an acknowledgement', () => {
  test('may be of several clients, and is of all events up to its number', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log })
    const worker = await linkWorker(gateway)
    const ids: number[] = []
    for (const message of ['a', 'b', 'c']) ids.push(await tell(worker, await connectClient(gateway), message))
    const pairs = acknowledgement([ids[0]!, 3], [ids[2]!, 3])
    worker.link.send(Command.ACKNOWLEDGE, 0, 0, '', pairs)
    const next = await linkWorker(gateway, 'worker:1')
    await kill(worker, log)
    expect(await told(next, 4)).toEqual(['context 3', 'context 2', 'again message b', 'context 3'])
  })

  const CASES: [what: string, by: 'worker' | 'other' | 'backend', pairs: (id: number) => Buffer][] = [
    ['with nothing in it', 'worker', () => Buffer.alloc(0)],
    ['that is cut off', 'worker', (id) => acknowledgement([id, 4]).subarray(0, 7)],
    ['with half a pair behind a whole one', 'worker', (id) => acknowledgement([id, 4], [id, 4]).subarray(0, 12)],
    ['of a client that does not exist', 'worker', (id) => acknowledgement([id + 1_000, 4], [0, 1])],
    ['of what is acknowledged already', 'worker', (id) => acknowledgement([id, 2], [id, 1], [id, 0])],
    ['of what was not told yet', 'worker', (id) => acknowledgement([id, 5], [id, 2 ** 31], [id, 2 ** 32 - 1])],
    ['of another worker', 'other', (id) => acknowledgement([id, 4])],
    ['of a backend', 'backend', (id) => acknowledgement([id, 4])],
  ]

  test.each(CASES)('%s changes nothing, and the link lives', async (_what, by, pairs) => {
    const { client, gateway, id, log, worker } = await startBusy('a', 'b')
    const other = await linkWorker(gateway, 'worker:1')
    const speaker = { backend: await linkPeer(gateway), other, worker }[by]
    speaker.link.send(Command.ACKNOWLEDGE, 0, 0, '', pairs(id))
    await speaker.settled()
    client.send('c')
    expect(await told(worker, 1)).toEqual(['message c'])
    await kill(worker, log)
    expect(await told(other, 4)).toEqual(['context 2', 'again message a', 'again message b', 'again message c'])
  })

  test('that is no list of pairs is logged', async () => {
    const { log, worker } = await startBusy('a')
    worker.link.send(Command.ACKNOWLEDGE, 0, 0, '', 'garbage')
    expect(await log.next('could not be carried out')).toMatchObject({
      details: { command: Command.ACKNOWLEDGE, err: { code: 'BAD_PARAMETERS' } },
      level: 'warn',
    })
  })
})

describe('a PHP worker', () => {
  test('is told everything once: the next worker gets what comes after', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log })
    const php = await linkPhpWorker(gateway)
    const client = await connectClient(gateway)
    const id = await php.nextClient()
    client.send('a')
    expect(await php.event()).toMatchObject({ body: 'a', cmd: 3, connectionId: id })
    const next = await linkWorker(gateway)
    php.raw.socket.destroy()
    await log.next('worker gone')
    client.send('b')
    expect(await told(next, 2)).toEqual(['context 3', 'message b'])
  })

  test('gets what others have not acknowledged, and cannot be told that it comes again', async () => {
    const { client, gateway, id, log, worker } = await startBusy('a')
    const php = await linkPhpWorker(gateway)
    await kill(worker, log)
    client.send('b')
    expect(await php.event()).toMatchObject({ body: 'a', cmd: 3, connectionId: id, flag: 1 })
    expect(await php.event()).toMatchObject({ body: 'b', cmd: 3, connectionId: id, flag: 1 })
  })
})
