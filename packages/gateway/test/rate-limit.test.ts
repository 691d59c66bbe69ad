import { once } from 'node:events'
import { Command, msgpack } from '@gatewayworker/protocol'
import { expect, test } from 'vitest'
import type { GatewayServerOptions } from '../src/index.ts'
import { linkWorker } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'
import { WIRES } from './support/wire.ts'
import { connectWire } from './support/wire-client.ts'

/** A client that sends many messages where 20 a second are allowed. */
async function flood(count: number, options: Partial<GatewayServerOptions>) {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, messageRate: 20, ...options })
  const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const client = await connectClient(gateway)
  await worker.nextClient()
  for (let number = 0; number < count; number += 1) client.send(String(number))
  return { client, gateway, log, worker }
}

const LIMITED = { address: '127.0.0.1', clients: 1 }

test('pause: a client that sends too much waits, and nothing of it is lost', async () => {
  const { client, gateway, log, worker } = await flood(60, { ratePolicy: 'pause' })
  const startedAt = performance.now()
  client.send('last')
  for (let number = 0; number < 60; number += 1) {
    expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe(String(number))
  }
  expect(log.of('sends too much')).toMatchObject([{ details: { ...LIMITED, policy: 'pause' }, level: 'warn' }])
  // Whatever came in one piece was taken in one go; what comes later waits for it to be paid.
  client.send('later')
  const bodies = [
    String((await worker.next(Command.ON_MESSAGE)).body),
    String((await worker.next(Command.ON_MESSAGE)).body),
  ]
  expect(bodies).toEqual(['last', 'later'])
  expect(performance.now() - startedAt).toBeGreaterThan(1_000)
  expect(gateway.stats()).toMatchObject({ droppedRequests: 0, limitedClients: 1, requests: 62 })
})

test('drop: what is too much is dropped and counted, the client stays', async () => {
  const { client, gateway, log, worker } = await flood(200, { ratePolicy: 'drop' })
  client.socket.ping() // comes after the messages, and is dropped like them: nothing else would come then
  client.close()
  await client.closed
  await worker.next(Command.ON_CLOSE)
  const { droppedRequests, requests } = gateway.stats()
  expect(requests + droppedRequests).toBe(200)
  expect(requests).toBeGreaterThanOrEqual(20)
  expect(requests).toBeLessThan(100)
  expect(log.of('sends too much')).toMatchObject([{ details: { ...LIMITED, policy: 'drop' } }])
})

test('close: the client is told 4002', async () => {
  const { client, gateway, worker } = await flood(200, { ratePolicy: 'close' })
  expect(await client.closed).toEqual({ code: 4002, reason: 'sends too much' })
  expect(msgpack.decode((await worker.next(Command.ON_CLOSE)).body)).toEqual({ reason: 'rate_limited' })
  expect(gateway.stats()).toMatchObject({ connections: 0, limitedClients: 1 })
})

test('bytes count as well, and a message longer than a second of them passes', async () => {
  const gateway = await startGateway({ byteRate: 1_000, ratePolicy: 'close' })
  const worker = await linkWorker(gateway)
  const client = await connectClient(gateway)
  client.send('x'.repeat(50_000))
  expect((await worker.next(Command.ON_MESSAGE)).body.length).toBe(50_000)
  client.send('x')
  expect((await client.closed).code).toBe(4002)
})

test('a client of a stream protocol is not read from its first message over the rate on', async () => {
  const gateway = await startGateway({ messageRate: 20, protocol: 'text' })
  const worker = await linkWorker(gateway)
  const client = await connectWire(gateway, WIRES.text)
  const startedAt = performance.now()
  client.send(...Array.from({ length: 40 }, (_, number) => String(number)))
  for (let number = 0; number < 40; number += 1) {
    expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe(String(number))
  }
  expect(performance.now() - startedAt).toBeGreaterThan(300)
})

test('pings count as messages', async () => {
  const gateway = await startGateway({ messageRate: 10, ratePolicy: 'close' })
  await linkWorker(gateway)
  const client = await connectClient(gateway)
  for (let count = 0; count < 100; count += 1) client.socket.ping()
  expect((await client.closed).code).toBe(4002)
})

test('a client that does not read is sent no more pongs than may wait for it', async () => {
  const gateway = await startGateway({ messageRate: 0, sendToClientBufferSizeBytes: 10_000 })
  const worker = await linkWorker(gateway)
  const client = await connectClient(gateway)
  const id = await worker.nextClient()
  client.socket.pause()
  // So much that the kernel has no room left.
  const message = 'x'.repeat(9_000_000)
  worker.link.send(Command.SEND_TO_ONE, id, 1, '', message)
  await worker.settled()
  const waiting = gateway.stats().bufferedBytes
  expect(waiting).toBeGreaterThan(10_000)
  for (let count = 0; count < 1_000; count += 1) client.socket.ping('x'.repeat(100))
  client.send('done')
  await worker.next(Command.ON_MESSAGE)
  expect(gateway.stats().bufferedBytes).toBeLessThanOrEqual(waiting)
  client.socket.resume()
  expect((await client.messages.next()).length).toBe(message.length)
  client.socket.ping()
  await once(client.socket, 'pong')
})
