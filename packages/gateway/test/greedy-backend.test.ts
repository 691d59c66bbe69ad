import { Command, msgpack } from '@gatewayworker/protocol'
import { expect, test } from 'vitest'
import { linkPeer, linkWorker } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'

const BUFFER_SIZE_BYTES = 4_000_000
const QUESTIONS = 100
const SESSION_BYTES = 1_000_000

/** A backend that asks for what is long again and again, in one write, and reads nothing; and a client who is served by a worker. */
async function startGreedy(linkTimeoutMs?: number) {
  const log = new RecordedLog()
  const gateway = await startGateway({ linkTimeoutMs, log, sendToWorkerBufferSizeBytes: BUFFER_SIZE_BYTES })
  const worker = await linkWorker(gateway)
  const client = await connectClient(gateway)
  const id = await worker.nextClient()
  worker.link.send(Command.SET_SESSION, id, 0, msgpack.encode({ long: 'x'.repeat(SESSION_BYTES) }))
  await worker.settled()
  const backend = await linkPeer(gateway)
  const before = process.memoryUsage().arrayBuffers
  backend.link.pause()
  const answers = Array.from({ length: QUESTIONS }, () =>
    backend.link.ask(Command.GET_SESSION_BY_CLIENT_ID, 60_000, id).then(
      (session) => (session as Buffer).length,
      ({ code }) => code as string,
    ),
  )
  return { answers, backend, before, client, gateway, id, log, worker }
}

test('a backend that asks and does not read is not asked what else it wants, and gets every answer when it reads', async () => {
  const { answers, backend, before, client, id, worker } = await startGreedy()
  // The gateway has come to the questions, and goes on with others.
  for (let at = 0; at < 20; at += 1) {
    client.send('ping')
    await worker.next(Command.ON_MESSAGE)
    worker.link.send(Command.SEND_TO_ONE, id, 0, '', 'pong')
    expect(await client.messages.next()).toBe('pong')
  }
  // The answers would be 100 MB: this is what waits, an answer more, and what the tests themselves keep.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10 * BUFFER_SIZE_BYTES)
  backend.link.resume()
  expect(new Set(await Promise.all(answers))).toEqual(new Set([(await answers[0]) as number]))
  expect(await answers[0]).toBeGreaterThan(SESSION_BYTES)
})

test('a backend that takes nothing of what waits for it is cut off after the link timeout', async () => {
  const { answers, backend, client, gateway, log } = await startGreedy(600)
  await log.next('the link of a backend was ended')
  backend.kill()
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['LINK_CLOSED']))
  expect(gateway.clientCount).toBe(1)
  expect(client.messages.size).toBe(0)
})
