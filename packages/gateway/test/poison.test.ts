import { Command } from '@gatewayworker/protocol'
import { describe, expect, test, vi } from 'vitest'
import type { GatewayServer, GatewayServerOptions } from '../src/index.ts'
import { linkPhpWorker } from './support/php-peer.ts'
import { linkWorker, type RawPeer } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient, type TestClient } from './support/test-client.ts'
import { kill, told } from './support/told.ts'

interface Talker {
  client: TestClient
  id: number
  message: string
}

/** A gateway, and clients of one worker that has handled their beginnings and then dies with a message of each. */
async function startAndKill(messages: string[], options: Partial<GatewayServerOptions> = {}) {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, ...options })
  const worker = await linkWorker(gateway, 'first:0')
  const talkers: Talker[] = []
  for (const message of messages) {
    const client = await connectClient(gateway)
    const id = await worker.nextClient()
    worker.acknowledge(id, 2)
    talkers.push({ client, id, message })
  }
  for (const { client, message } of talkers) client.send(message)
  for (const _ of talkers) await worker.next(Command.ON_MESSAGE)
  await kill(worker, log)
  return { gateway, log, talkers }
}

/** Another worker is told what is left, and dies. */
async function linkAndKill(gateway: GatewayServer, log: RecordedLog, expected: string[]): Promise<void> {
  const worker = await linkWorker(gateway)
  expect(await told(worker, expected.length)).toEqual(expected)
  await kill(worker, log)
}

/** A worker for suspect events, which the router prefers, and one for everybody else. */
async function linkTwo(gateway: GatewayServer): Promise<{ other: RawPeer; worker: RawPeer }> {
  const other = await linkWorker(gateway, 'other:0')
  return { other, worker: await linkWorker(gateway, 'worker:0') }
}

const NEWEST_FIRST: Partial<GatewayServerOptions> = { router: (workers) => workers.at(-1)! }

describe('an event that worker after worker dies with', () => {
  test('is given up after the third crash: it is logged and counted, and its client is closed', async () => {
    const { gateway, log, talkers } = await startAndKill(['poison'], NEWEST_FIRST)
    const [{ client, id } = talkers[0]!] = talkers
    await linkAndKill(gateway, log, ['context 2', 'again message poison'])
    const { other, worker } = await linkTwo(gateway)
    expect(await told(worker, 2)).toEqual(['context 2', 'again message poison'])
    await kill(worker, log)
    expect(await told(other, 2)).toEqual(['context 3', 'close dead_letter'])
    expect(await client.closed).toEqual({ code: 1011, reason: 'an event could not be handled' })
    const clientId = other.clientId(id)
    expect(log.of('given up')).toMatchObject([
      {
        details: { clientId, command: Command.ON_MESSAGE, messageId: `${clientId}-3`, workersDied: 3 },
        level: 'error',
      },
    ])
    expect(gateway.stats()).toMatchObject({ poisonEvents: 1, redeliveredEvents: 2 })
  })

  test('is given up earlier or later, as poisonLimit says', async () => {
    const { gateway, log } = await startAndKill(['poison'], { poisonLimit: 1 })
    expect(await told(await linkWorker(gateway), 2)).toEqual(['context 3', 'close dead_letter'])
    expect(log.of('given up')).toMatchObject([{ details: { workersDied: 1 } }])
  })

  test('is not given up for a crash while other events were under way', async () => {
    const { gateway, log } = await startAndKill(['one', 'other'], { poisonLimit: 1 })
    expect(await told(await linkWorker(gateway), 4)).toEqual([
      'context 2',
      'again message one',
      'context 2',
      'again message other',
    ])
    expect(log.of('given up')).toEqual([])
  })

  test('is delivered again and again, if poisonLimit is 0', async () => {
    const { gateway, log } = await startAndKill(['poison'], { ...NEWEST_FIRST, poisonLimit: 0 })
    await linkAndKill(gateway, log, ['context 2', 'again message poison'])
    await linkWorker(gateway, 'other:0')
    for (let at = 0; at < 5; at += 1) await linkAndKill(gateway, log, ['context 2', 'again message poison'])
    expect(gateway.stats()).toMatchObject({ poisonEvents: 0, redeliveredEvents: 6 })
  })

  test('may be the last of its client, of which nothing is left then', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log, poisonLimit: 1 })
    const worker = await linkWorker(gateway)
    const client = await connectClient(gateway)
    worker.acknowledge(await worker.nextClient(), 2)
    client.close()
    await worker.next(Command.ON_CLOSE)
    await kill(worker, log)
    expect(log.of('given up')).toMatchObject([{ details: { command: Command.ON_CLOSE } }])
    const next = await linkWorker(gateway)
    await next.settled()
    expect(next.frames.size).toBe(0)
  })

  test('is the oldest of its client: those behind it are delivered again', async () => {
    const { gateway, log, talkers } = await startAndKill(['poison'], { poisonLimit: 2 })
    const worker = await linkWorker(gateway)
    expect(await told(worker, 2)).toEqual(['context 2', 'again message poison'])
    talkers[0]!.client.send('innocent')
    expect(await told(worker, 1)).toEqual(['message innocent'])
    await kill(worker, log)
    const next = await linkWorker(gateway)
    expect(await told(next, 3)).toEqual(['context 3', 'again message innocent', 'close dead_letter'])
    expect(gateway.stats().poisonEvents).toBe(1)
  })
})

describe('an event that two workers died with', () => {
  /** Two clients with whose messages two workers died; each has said something more. */
  async function startSuspicious(options: Partial<GatewayServerOptions> = NEWEST_FIRST) {
    const { gateway, log, talkers } = await startAndKill(['one', 'other'], options)
    await linkAndKill(gateway, log, ['context 2', 'again message one', 'context 2', 'again message other'])
    for (const { client, message } of talkers) client.send(`after ${message}`)
    return { gateway, log, talkers }
  }

  test('is delivered alone, and what follows it is left to another worker', async () => {
    const { gateway, talkers } = await startSuspicious()
    const { other, worker } = await linkTwo(gateway)
    expect(await told(worker, 3)).toEqual(['context 2', 'again message one', 'context 2'])
    await worker.settled()
    expect(worker.frames.size).toBe(0)
    worker.acknowledge(talkers[0]!.id, 3)
    expect(await told(worker, 1)).toEqual(['again message other'])
    expect(await told(other, 2)).toEqual(['context 3', 'message after one'])
    worker.acknowledge(talkers[1]!.id, 3)
    expect(await told(worker, 1)).toEqual(['message after other'])
  })

  test('does not keep other clients waiting', async () => {
    const { gateway } = await startSuspicious()
    const { other, worker } = await linkTwo(gateway)
    await told(worker, 3)
    await connectClient(gateway)
    expect(await told(other, 3)).toEqual(['context 0', 'connect', 'handshake'])
  })

  test('moves a client with nothing under way away from its worker when that client says something', async () => {
    const { gateway, log, talkers } = await startAndKill(['one', 'other'], NEWEST_FIRST)
    await linkAndKill(gateway, log, ['context 2', 'again message one', 'context 2', 'again message other'])
    const other = await linkWorker(gateway, 'other:0', { acknowledges: true })
    const worker = await linkWorker(gateway, 'worker:0')
    await told(worker, 3)
    worker.acknowledge(talkers[0]!.id, 3)
    await told(worker, 1)
    talkers[0]!.client.send('hello')
    expect(await told(other, 2)).toEqual(['context 3', 'message hello'])
  })

  test('is delivered by the only worker when no second one comes within half of the no-worker timeout', async () => {
    const { gateway, talkers } = await startSuspicious({ noWorkerTimeoutMs: 1_000 })
    const worker = await linkWorker(gateway)
    expect(await told(worker, 3)).toEqual(['context 2', 'again message one', 'context 2'])
    const bystander = await connectClient(gateway)
    bystander.send('hello')
    expect(await told(worker, 1)).toEqual(['context 0'])
    worker.acknowledge(talkers[0]!.id, 3)
    expect(await told(worker, 1)).toEqual(['again message other'])
    worker.acknowledge(talkers[1]!.id, 3)
    // Everybody else has waited for their turn, and is served now.
    const rest = await told(worker, 5)
    expect(rest.sort()).toEqual(['connect', 'handshake', 'message after one', 'message after other', 'message hello'])
  })

  test('moves at once when its worker leaves', async () => {
    const { gateway, talkers } = await startSuspicious()
    const { worker } = await linkTwo(gateway)
    await told(worker, 3)
    const next = await linkWorker(gateway, 'worker:1')
    await worker.leave()
    // The one that waited is delivered elsewhere, alone.
    expect(await told(next, 2)).toEqual(['context 2', 'again message other'])
    next.acknowledge(talkers[1]!.id, 3)
    expect(await told(next, 1)).toEqual(['message after other'])
    worker.acknowledge(talkers[0]!.id, 3)
    expect(await told(next, 2)).toEqual(['context 3', 'message after one'])
  })

  test('goes to a PHP worker as any other, and what follows it too', async () => {
    const { gateway, log, talkers } = await startAndKill(['one', 'other'])
    const second = await linkWorker(gateway)
    await second.frames.take(4)
    const php = await linkPhpWorker(gateway)
    await kill(second, log)
    expect(await php.event()).toMatchObject({ body: 'one', cmd: 3 })
    expect(await php.event()).toMatchObject({ body: 'other', cmd: 3 })
    for (const { client, message } of talkers) {
      client.send(`after ${message}`)
      expect(await php.event()).toMatchObject({ body: `after ${message}`, cmd: 3 })
    }
  })
})

/**
 * Serves as a worker that crashes at each message that begins with 'poison', before anything of that turn is acknowledged. Resolves
 * when it has crashed.
 */
async function serveUntilPoison(worker: RawPeer, handled: string[]): Promise<void> {
  const numbers = new Map<number, number>()
  for (;;) {
    const { body, command, connectionId, id } = await worker.frames.next()
    if (command === Command.CLIENT_CONTEXT) {
      numbers.set(connectionId, id)
      continue
    }
    const message = String(body)
    if (command === Command.ON_MESSAGE && message.startsWith('poison')) {
      worker.kill()
      return
    }
    const number = numbers.get(connectionId)! + 1
    numbers.set(connectionId, number)
    worker.acknowledge(connectionId, number)
    if (command === Command.ON_MESSAGE) handled.push(message)
  }
}

test('of three poisonous messages at once among those of 50 other clients, those three are given up and nothing else', async () => {
  const innocent = Array.from({ length: 50 }, (_, at) => `innocent ${at}`)
  const messages = innocent.toSpliced(40, 0, 'poison 3').toSpliced(25, 0, 'poison 2').toSpliced(10, 0, 'poison 1')
  const { gateway, log, talkers } = await startAndKill(messages)
  const handled: string[] = []
  let isOver = false
  const serve = async (): Promise<void> => {
    while (!isOver) await serveUntilPoison(await linkWorker(gateway), handled)
  }
  for (let workers = 0; workers < 2; workers += 1) void serve().catch(() => {}) // ends with the test
  for (let deaths = 0; deaths < 3; deaths += 1) await log.next('given up')
  const innocents = talkers.filter(({ message }) => message.startsWith('innocent'))
  for (const { client, message } of innocents) client.send(`end of ${message}`)
  await vi.waitUntil(() => handled.filter((message) => message.startsWith('end of')).length === 50, { interval: 1 })
  isOver = true
  expect([...new Set(handled)].sort()).toEqual([...innocent, ...innocent.map((name) => `end of ${name}`)].sort())
  expect(gateway.stats().poisonEvents).toBe(3)
  expect(gateway.stats().connections).toBe(50)
})
