import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Command, msgpack } from '@gatewayworker/protocol'
import { expect, test } from 'vitest'
import { linkWorker } from './support/raw-peer.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient, type TestClient } from './support/test-client.ts'

/** From now on nothing that comes is answered, as of a host whose power was cut. */
function playDead(client: TestClient): void {
  const socket = (client.socket as unknown as { _socket: Socket })._socket
  socket.pause()
}

test('a client that answers no ping is gone; one that only answers pings is not', async () => {
  const gateway = await startGateway({ idleTimeoutMs: 400 })
  const worker = await linkWorker(gateway)
  const [dead, quiet] = [await connectClient(gateway), await connectClient(gateway)]
  const id = await worker.nextClient()
  playDead(dead)
  const pinged = once(quiet.socket, 'ping')
  const close = await worker.next(Command.ON_CLOSE)
  expect([close.connectionId, msgpack.decode(close.body)]).toEqual([id, { reason: 'heartbeat' }])
  await pinged
  await once(quiet.socket, 'ping')
  expect(gateway.stats()).toMatchObject({ connections: 1, idleClients: 1 })
  expect(quiet.messages.size).toBe(0)
})

test('that its side answers does not count for the heartbeat of the application', async () => {
  const gateway = await startGateway({
    idleTimeoutMs: 400,
    pingData: 'are you there?',
    pingIntervalS: 0.4,
    pingNotResponseLimit: 1,
  })
  const worker = await linkWorker(gateway)
  const client = await connectClient(gateway)
  const startedAt = performance.now()
  await once(client.socket, 'ping')
  expect(await client.messages.next()).toBe('are you there?')
  expect(msgpack.decode((await worker.next(Command.ON_CLOSE)).body)).toEqual({ reason: 'heartbeat' })
  expect(performance.now() - startedAt).toBeGreaterThan(400)
  expect(gateway.stats().idleClients).toBe(0)
})
