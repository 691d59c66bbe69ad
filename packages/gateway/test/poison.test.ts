import { Command } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
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

describe('an event that worker after worker dies with', () => {
  test('is set aside after the third, which is logged and counted, and its client goes on', async () => {
    const { gateway, log, talkers } = await startAndKill(['poison'])
    const [{ client, id } = talkers[0]!] = talkers
    for (let at = 0; at < 2; at += 1) await linkAndKill(gateway, log, ['context 2', 'again message poison'])
    client.send('after')
    const worker = await linkWorker(gateway)
    expect(await told(worker, 2)).toEqual(['context 3', 'message after'])
    const clientId = worker.clientId(id)
    expect(log.of('set aside')).toMatchObject([
      {
        details: { clientId, command: Command.ON_MESSAGE, messageId: `${clientId}-3`, workersDied: 3 },
        level: 'error',
      },
    ])
    expect(gateway.stats()).toMatchObject({ poisonEvents: 1, redeliveredEvents: 2 })
  })

  test('is set aside earlier or later, as poisonLimit says', async () => {
    const { gateway, log } = await startAndKill(['poison'], { poisonLimit: 1 })
    expect(await told(await linkWorker(gateway), 1)).toEqual(['context 3'])
    expect(log.of('set aside')).toMatchObject([{ details: { workersDied: 1 } }])
  })

  test('is told for ever, if poisonLimit is 0', async () => {
    const { gateway, log } = await startAndKill(['poison'], { poisonLimit: 0 })
    for (let at = 0; at < 6; at += 1) await linkAndKill(gateway, log, ['context 2', 'again message poison'])
    expect(gateway.stats()).toMatchObject({ poisonEvents: 0, redeliveredEvents: 6 })
  })

  test('may be the last of its client, of whom nothing is left then', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log, poisonLimit: 1 })
    const worker = await linkWorker(gateway)
    const client = await connectClient(gateway)
    worker.acknowledge(await worker.nextClient(), 2)
    client.close()
    await worker.next(Command.ON_CLOSE)
    await kill(worker, log)
    expect(log.of('set aside')).toMatchObject([{ details: { command: Command.ON_CLOSE } }])
    const next = await linkWorker(gateway)
    await next.settled()
    expect(next.frames.size).toBe(0)
  })

  test('is the oldest of its client: those behind it are told again, and count anew', async () => {
    const { gateway, log, talkers } = await startAndKill(['poison'], { poisonLimit: 2 })
    const worker = await linkWorker(gateway)
    expect(await told(worker, 2)).toEqual(['context 2', 'again message poison'])
    talkers[0]!.client.send('innocent')
    expect(await told(worker, 1)).toEqual(['message innocent'])
    await kill(worker, log)
    await linkAndKill(gateway, log, ['context 3', 'again message innocent'])
    expect(await told(await linkWorker(gateway), 2)).toEqual(['context 3', 'again message innocent'])
    expect(gateway.stats().poisonEvents).toBe(1)
  })
})

describe('an event that two workers died with', () => {
  /** Two clients whose messages two workers died with, at a third one. */
  async function startSuspicious() {
    const { gateway, log, talkers } = await startAndKill(['one', 'other'])
    const first = ['context 2', 'again message one', 'context 2', 'again message other']
    await linkAndKill(gateway, log, first)
    for (const { client, message } of talkers) client.send(`after ${message}`)
    return { gateway, log, talkers, worker: await linkWorker(gateway) }
  }

  test('is told alone: without another such one beside it, and with nothing of its client behind it', async () => {
    const { talkers, worker } = await startSuspicious()
    expect(await told(worker, 3)).toEqual(['context 2', 'again message one', 'context 2'])
    await worker.settled()
    expect(worker.frames.size).toBe(0)
    worker.acknowledge(talkers[0]!.id, 3)
    const next = await told(worker, 2)
    expect(next.sort()).toEqual(['again message other', 'message after one'])
    await worker.settled()
    expect(worker.frames.size).toBe(0)
    worker.acknowledge(talkers[1]!.id, 3)
    expect(await told(worker, 1)).toEqual(['message after other'])
  })

  test('does not keep other clients waiting', async () => {
    const { gateway, worker } = await startSuspicious()
    await told(worker, 3)
    await connectClient(gateway)
    expect(await told(worker, 3)).toEqual(['context 0', 'connect', 'handshake'])
  })

  test('is waited for no more when its worker has left with it', async () => {
    const { gateway, talkers, worker } = await startSuspicious()
    await told(worker, 3)
    const next = await linkWorker(gateway, 'worker:1')
    await worker.leave()
    // The other one moves at once, and is told there.
    expect(await told(next, 2)).toEqual(['context 2', 'again message other'])
    worker.acknowledge(talkers[0]!.id, 3)
    expect(await told(next, 2)).toEqual(['context 3', 'message after one'])
    next.acknowledge(talkers[1]!.id, 3)
    expect(await told(next, 1)).toEqual(['message after other'])
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

/** Serves as a worker in which the message 'poison' breaks everything down, before anything of that turn is acknowledged. */
async function serveUntilPoison(worker: RawPeer, handled: Set<string>): Promise<void> {
  const numbers = new Map<number, number>()
  for (;;) {
    const { body, command, connectionId, id } = await worker.frames.next()
    if (command === Command.CLIENT_CONTEXT) {
      numbers.set(connectionId, id)
      continue
    }
    if (command === Command.ON_MESSAGE && String(body) === 'poison') {
      worker.kill()
      return
    }
    const number = numbers.get(connectionId)! + 1
    numbers.set(connectionId, number)
    worker.acknowledge(connectionId, number)
    handled.add(String(body))
  }
}

test('one poisonous message among those of 50 other clients: it alone is set aside, and nothing of theirs is lost', async () => {
  const innocent = Array.from({ length: 50 }, (_, at) => `innocent ${at}`)
  const messages = innocent.toSpliced(25, 0, 'poison')
  const { gateway, log, talkers } = await startAndKill(messages)
  const handled = new Set<string>()
  for (let at = 0; at < 2; at += 1) {
    await serveUntilPoison(await linkWorker(gateway), handled)
    await log.next('worker gone')
  }
  const worker = await linkWorker(gateway, 'last:0', { acknowledges: true })
  for (const { client, message } of talkers) client.send(`end of ${message}`)
  for (let ends = 0; ends < talkers.length; ) {
    const message = String((await worker.next(Command.ON_MESSAGE)).body)
    if (!message.startsWith('end of ')) handled.add(message)
    // What they said last comes last, also where something before it had to wait.
    else if (handled.has(message.slice(7)) || message === 'end of poison') ends += 1
    else expect.unreachable(message)
  }
  expect([...handled].sort()).toEqual([...innocent].sort())
  expect(gateway.stats().poisonEvents).toBe(1)
  const poisonous = talkers.find(({ message }) => message === 'poison')!
  expect(log.of('set aside')).toMatchObject([{ details: { messageId: `${worker.clientId(poisonous.id)}-3` } }])
})
