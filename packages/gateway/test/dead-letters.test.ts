import { appendFileSync, existsSync, readFileSync, statSync } from 'node:fs'
import { Command, Flag, msgpack } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../../test/temporary-folder.ts'
import type { DeadLetter, GatewayServerOptions } from '../src/index.ts'
import { linkPeer, linkWorker } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'
import { kill, told } from './support/told.ts'

/** A gateway whose worker has died with a message of a client that has a uid, a group and a session. */
async function loseMessage(message: string | Buffer, options: Partial<GatewayServerOptions> = {}) {
  const file = temporaryFolder({}).path('new folder/dead-letters.jsonl')
  const log = new RecordedLog()
  const gateway = await startGateway({ deadLetterFile: file, log, poisonLimit: 1, ...options })
  const worker = await linkWorker(gateway)
  const backend = await linkPeer(gateway)
  const client = await connectClient(gateway)
  const id = await worker.nextClient()
  worker.acknowledge(id, 2)
  await backend.ask(Command.BIND_UID, 'u', id)
  await backend.ask(Command.JOIN_GROUP, 'g', id)
  await backend.ask(Command.SET_SESSION, msgpack.encode({ name: '张三' }), id)
  client.send(message)
  await worker.next(Command.ON_MESSAGE)
  await kill(worker, log)
  await log.next('given up')
  const letters = () => {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as DeadLetter)
  }
  return { backend, client, clientId: worker.clientId(id), file, gateway, id, letters, log }
}

describe('an event that is given up', () => {
  test('is kept in the dead-letter file with all that is known of it, for its owner only', async () => {
    const { clientId, file, gateway, letters } = await loseMessage('poison 张三')
    const [letter, ...more] = letters()
    expect(more).toEqual([])
    expect(letter).toMatchObject({
      clientId,
      event: 'onMessage',
      groups: ['g'],
      messageId: `${clientId}-3`,
      remoteAddress: '127.0.0.1',
      text: 'poison 张三',
      uid: 'u',
      workersDied: 1,
    })
    expect(Date.parse(letter!.time)).toBeGreaterThan(Date.now() - 60_000)
    expect(msgpack.decode(Buffer.from(letter!.session!.base64, 'base64'))).toEqual({ name: '张三' })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(gateway.deadLetters()).toEqual([letter])
    appendFileSync(file, '{"messageId":"cut o')
    expect(gateway.deadLetters()).toEqual([letter])
  })

  test('may be binary', async () => {
    const { letters } = await loseMessage(Buffer.from([0, 255]))
    expect(letters()[0]).toMatchObject({ base64: 'AP8=' })
    expect(letters()[0]).not.toHaveProperty('text')
  })

  test('that cannot be written is in the log, and the gateway lives', async () => {
    const { gateway, log } = await loseMessage('poison', { deadLetterFile: '/dev/null/letters' })
    expect(log.of('could not be written')).toMatchObject([{ details: { letter: { text: 'poison' } }, level: 'error' }])
    expect(gateway.stats().poisonEvents).toBe(1)
  })

  test('is kept nowhere without a file', async () => {
    const { letters, log } = await loseMessage('poison', { deadLetterFile: '' })
    expect([letters(), log.of('could not be written')]).toEqual([[], []])
  })
})

describe('a dead letter that is replayed', () => {
  test.each([
    ['text', 'poison 张三', Flag.SCALAR | Flag.REDELIVERED],
    ['binary', Buffer.from([0, 255]), Flag.SCALAR | Flag.BINARY | Flag.REDELIVERED],
  ])('is delivered as it was, with its session and the same message id: %s', async (_kind, message, flag) => {
    const { gateway, id, letters } = await loseMessage(message)
    const worker = await linkWorker(gateway)
    expect(await told(worker, 2)).toEqual(['context 3', 'close dead_letter'])
    worker.acknowledge(id, 4)
    await worker.settled()
    gateway.replay(letters()[0]!)
    const [context, event] = await worker.frames.take(2)
    // Its number in the client's life is 3 again.
    expect(context).toMatchObject({ command: Command.CLIENT_CONTEXT, connectionId: id, id: 2 })
    expect(msgpack.decode(context!.ext)).toEqual({ name: '张三' })
    expect(event).toMatchObject({ body: Buffer.from(message), command: Command.ON_MESSAGE, connectionId: id, flag })
    worker.acknowledge(id, 3)
    await worker.settled()
    expect(gateway.stats().connections).toBe(0)
    expect(worker.frames.size).toBe(0)
    expect(gateway.deadLetters()).toEqual([])
  })

  test('waits for a worker', async () => {
    const { gateway, letters, log } = await loseMessage('poison')
    const worker = await linkWorker(gateway, 'worker:1', { acknowledges: true })
    await told(worker, 2)
    await kill(worker, log)
    gateway.replay(letters()[0]!)
    expect(await told(await linkWorker(gateway), 2)).toEqual(['context 2', 'again message poison'])
  })

  test('is refused where its client is connected, has an onClose to come, or was none', async () => {
    const { gateway, letters } = await loseMessage('poison')
    expect(() => gateway.replay(letters()[0]!)).toThrow('its onClose is not handled yet')
    await linkWorker(gateway, 'worker:1', { acknowledges: true })
    const other = await startGateway()
    expect(() => other.replay(letters()[0]!)).toThrow('was no client of this gateway')
    await connectClient(gateway)
    const { rows } = gateway.connections({ limit: 1, offset: 0 })
    expect(() => gateway.replay({ ...letters()[0]!, clientId: rows[0]!.clientId })).toThrow('is connected')
  })
})
