import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Command } from '@gatewayworker/protocol'
import { expect, test } from 'vitest'
import { GatewayServer } from '../src/index.ts'
import { linkPhpWorker } from './support/php-peer.ts'
import { linkWorker } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'
import { told } from './support/told.ts'

/** A gateway whose worker has a message of a client unacknowledged. */
async function startBusy(stopTimeoutMs: number) {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, stopTimeoutMs })
  const worker = await linkWorker(gateway)
  const client = await connectClient(gateway)
  const id = await worker.nextClient()
  worker.acknowledge(id, 2)
  client.send('a')
  expect(await told(worker, 1)).toEqual(['message a'])
  return { client, gateway, id, log, worker }
}

test('a gateway that stops lets the workers finish and answer, then tells them of each end, and waits for that', async () => {
  const { client, gateway, id, worker } = await startBusy(20_000)
  let hasStopped = false
  const stopped = gateway.stop().then(() => {
    hasStopped = true
  })
  client.send('too late')
  worker.link.send(Command.SEND_TO_ONE, id, 1, '', 'the answer to a')
  await worker.settled()
  worker.acknowledge(id, 3)
  expect(await client.messages.next()).toBe('the answer to a')
  expect(await client.closed).toMatchObject({ code: 1001 })
  expect(await told(worker, 1)).toEqual(['close gateway_stopped'])
  await worker.settled()
  expect(hasStopped).toBe(false)
  worker.acknowledge(id, 4)
  await stopped
  await worker.closed
})

test('it closes no client while a worker is at it', async () => {
  const { client, gateway, worker } = await startBusy(200)
  const other = await connectClient(gateway)
  await worker.nextClient()
  const begin = performance.now()
  const stopped = gateway.stop()
  await Promise.all([client.closed, other.closed])
  // Half of the time is for what they said, the other half for their ends.
  expect(performance.now() - begin).toBeGreaterThan(90)
  await stopped
  expect(performance.now() - begin).toBeGreaterThan(190)
  expect(performance.now() - begin).toBeLessThan(2_000)
})

test('it stops at once without a worker, and without anything to wait for', async () => {
  const gateway = await startGateway({ stopTimeoutMs: 20_000 })
  const client = await connectClient(gateway)
  await gateway.stop()
  expect((await client.closed).code).toBe(1001)
})

test('it does not wait for a worker that dies meanwhile', async () => {
  const { client, gateway, worker } = await startBusy(20_000)
  const stopped = gateway.stop()
  worker.kill()
  await stopped
  expect((await client.closed).code).toBe(1001)
})

test('it waits for no PHP worker, which has what it was told', async () => {
  const gateway = await startGateway({ stopTimeoutMs: 20_000 })
  const php = await linkPhpWorker(gateway)
  const client = await connectClient(gateway)
  const id = await php.nextClient()
  await gateway.stop()
  expect((await client.closed).code).toBe(1001)
  expect(await php.event()).toMatchObject({ cmd: 4, connectionId: id })
})

test('a gateway that cannot start leaves no port open', async () => {
  const free = createServer()
  const ports: number[] = []
  for (const _ of ['clients', 'LAN']) {
    await once(free.listen(0, '127.0.0.1'), 'listening')
    ports.push((free.address() as AddressInfo).port)
    await once(free.close(), 'close')
  }
  const [clientPort, lanPort] = ports
  const options = { clientHost: '127.0.0.1', clientPort, lanPort }
  const wrong = new GatewayServer({ ...options, registerAddresses: ['no address'] })
  await expect(wrong.start()).rejects.toMatchObject({ code: 'BAD_REGISTER_ADDRESS' })
  const right = await startGateway(options) // both can be had again
  const second = new GatewayServer({ ...options, lanPort: 0, registerAddresses: ['127.0.0.1:1'] })
  await expect(second.start()).rejects.toMatchObject({ code: 'EADDRINUSE', port: clientPort })
  await right.stop()
})
