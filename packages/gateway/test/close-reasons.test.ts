import type { Socket } from 'node:net'
import { Command } from '@gatewayworker/protocol'
import { expect, test } from 'vitest'
import type { GatewayServer, GatewayServerOptions } from '../src/index.ts'
import { linkPeer, linkWorker, type RawPeer } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient, type TestClient } from './support/test-client.ts'
import { kill, told } from './support/told.ts'

interface Scene {
  backend: RawPeer
  client: TestClient
  gateway: GatewayServer
  id: number
  log: RecordedLog
  worker: RawPeer
}

const CASES: [reason: string, what: string, end: (scene: Scene) => unknown, options?: Partial<GatewayServerOptions>][] =
  [
    ['client', 'has said goodbye', ({ client }) => client.close()],
    ['client', 'has broken off', ({ client }) => client.socket.terminate()],
    ['kicked', 'was closed', ({ backend, id }) => backend.ask(Command.KICK, '', id, 'bye')],
    ['kicked', 'was destroyed', ({ backend, id }) => backend.ask(Command.DESTROY, '', id)],
    [
      'kicked',
      'was closed, and then destroyed, and broke off itself',
      async ({ backend, client, id }) => {
        await backend.ask(Command.KICK, '', id)
        client.socket.terminate()
        await backend.ask(Command.DESTROY, '', id)
      },
    ],
    ['refused', 'was refused', ({ id, worker }) => worker.ask(Command.REFUSE_CLIENT, '', id)],
    ['handler_timeout', 'has a stuck handler', ({ id, worker }) => worker.ask(Command.HANDLER_TIMED_OUT, '', id)],
    [
      'slow',
      'reads too slowly',
      async ({ backend, client, id }) => {
        client.socket.pause()
        const message = 'x'.repeat(64 * 1024)
        for (let at = 0; at < 400; at += 1) backend.link.send(Command.SEND_TO_ONE, id, 1, '', message)
        await backend.settled()
        client.socket.resume()
      },
      { sendToClientBufferSizeBytes: 100_000 },
    ],
    ['heartbeat', 'is silent', () => {}, { pingIntervalS: 0.01, pingNotResponseLimit: 1 }],
    [
      'protocol_error',
      'sends what is no WebSocket frame',
      ({ client }) => (client.socket as unknown as { _socket: Socket })._socket.write(Buffer.from('810161', 'hex')),
    ],
    [
      'protocol_error',
      'sends too long a message',
      ({ client }) => client.send('x'.repeat(101)),
      { maxPayloadBytes: 100 },
    ],
    ['gateway_stopped', 'is closed by a gateway that stops', ({ gateway }) => void gateway.stop()],
  ]

test.each(CASES)('%s: of a client that %s, once', async (reason, _what, end, options) => {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, ...options })
  const worker = await linkWorker(gateway)
  const backend = await linkPeer(gateway)
  const client = await connectClient(gateway)
  const id = await worker.nextClient()
  await backend.ask(Command.BIND_UID, 'u', id)
  worker.acknowledge(id, 2)
  await end({ backend, client, gateway, id, log, worker })
  expect(await told(worker, 1)).toEqual([`close ${reason}`])
  await client.closed
  await worker.settled()
  expect(worker.frames.size).toBe(0)
})

test('no_worker: of a client that had a worker, and waited too long for the next', async () => {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, noWorkerTimeoutMs: 50 })
  const worker = await linkWorker(gateway)
  const client = await connectClient(gateway)
  worker.acknowledge(await worker.nextClient(), 2)
  await kill(worker, log)
  client.send('anybody?')
  await client.closed
  const next = await linkWorker(gateway)
  expect(await told(next, 3)).toEqual(['context 2', 'message anybody?', 'close no_worker'])
})
