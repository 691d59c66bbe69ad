import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { Command } from '@gatewayworker/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { GatewayServer } from '../src/index.ts'
import { makeCertificate } from './support/certificate.ts'
import { connectSocket, linkWorker } from './support/raw-peer.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'

async function connectTls(gateway: GatewayServer): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: gateway.address.port, rejectUnauthorized: false })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

test('a client that trusts the certificate connects with wss://', async () => {
  const ssl = makeCertificate()
  const gateway = await startGateway({ ssl })
  const worker = await linkWorker(gateway)
  await connectClient(gateway, '/', { ca: ssl.cert }, 'wss')
  expect(await worker.nextClient()).toBeGreaterThan(0)
})

test('one that does not speak TLS is no client, and is sent away', async () => {
  const gateway = await startGateway({ protocol: 'text', ssl: makeCertificate() })
  const worker = await linkWorker(gateway)
  const socket = await connectSocket(gateway.address.port)
  const closed = once(socket.resume(), 'close')
  socket.write('hello\n')
  await closed
  await worker.settled()
  expect(worker.frames.size).toBe(0)
})

test('one that is in its handshake when the gateway stops becomes no client', async () => {
  const gateway = await startGateway({ protocol: 'text', ssl: makeCertificate() })
  const socket = await connectSocket(gateway.address.port)
  const closed = once(socket.resume(), 'close')
  await gateway.stop()
  await closed
})

test('a new certificate is shown to new clients, and those there are stay', async () => {
  const gateway = await startGateway({ protocol: 'text', ssl: makeCertificate('old') })
  const worker = await linkWorker(gateway)
  const socket = await connectTls(gateway)
  const renewed = makeCertificate('new')
  gateway.renewCertificate(renewed)
  expect((await connectTls(gateway)).getPeerX509Certificate()?.subject).toBe('CN=new')
  expect(() => gateway.renewCertificate({ cert: makeCertificate().cert, key: renewed.key })).toThrow()
  expect((await connectTls(gateway)).getPeerX509Certificate()?.subject).toBe('CN=new')
  socket.write('still there\n')
  await worker.next(Command.ON_MESSAGE)
})

test('a key that does not fit the certificate is an error at once', () => {
  const { cert } = makeCertificate()
  expect(new X509Certificate(cert).subject).toBe('CN=localhost')
  expect(() => new GatewayServer({ registerAddresses: [], ssl: { cert, key: makeCertificate().key } })).toThrow(
    /key values mismatch/,
  )
})
