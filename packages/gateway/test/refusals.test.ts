import { once } from 'node:events'
import { Command } from '@gatewayworker/protocol'
import { expect, test } from 'vitest'
import { makeCertificate } from './support/certificate.ts'
import { connectSocket, linkWorker } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient, refusalOf } from './support/test-client.ts'
import { WIRES } from './support/wire.ts'
import { connectWire } from './support/wire-client.ts'

const NOBODY_EXEMPT = { exemptAddresses: [] }

test('with as many connections as there may be the next one is told so, and one that ends makes room', async () => {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, maxConnections: 2 })
  const worker = await linkWorker(gateway)
  const first = await connectClient(gateway)
  await connectClient(gateway)
  expect(await refusalOf(gateway)).toMatchObject({ status: 503, text: 'There is no room for more connections.\n' })
  expect(log.of('refused')).toMatchObject([
    { details: { address: '127.0.0.1', reason: 'connections', refused: 1 }, level: 'warn' },
  ])
  first.close()
  await worker.next(Command.ON_CLOSE)
  await connectClient(gateway)
  expect(gateway.stats()).toMatchObject({ connections: 2, refusedConnections: 1 })
})

test('a connection that is no client counts as one, too', async () => {
  const gateway = await startGateway({ maxConnections: 1 })
  const idle = await connectSocket(gateway.address.port)
  expect(await refusalOf(gateway)).toMatchObject({ status: 503 })
  idle.end()
  await once(idle, 'close')
  await connectClient(gateway)
})

test('an address with as many connections as it may have, or too many of late, is told so', async () => {
  const full = await startGateway({ ...NOBODY_EXEMPT, maxConnectionsPerAddress: 1 })
  await connectClient(full)
  expect(await refusalOf(full)).toMatchObject({ status: 429, text: 'You have too many connections.\n' })
  const busy = await startGateway({ ...NOBODY_EXEMPT, connectionRate: 0.1 })
  await connectSocket(busy.address.port) // pays for the next 10 s
  expect(await refusalOf(busy)).toMatchObject({ headers: { 'retry-after': '1' }, status: 429 })
  expect([full.stats().refused, busy.stats().refused]).toMatchObject([
    { connectionRate: 0, connectionsPerAddress: 1 },
    { connectionRate: 1, connectionsPerAddress: 0 },
  ])
})

test('addresses that are exempt may have any number', async () => {
  const gateway = await startGateway({ connectionRate: 1, maxConnectionsPerAddress: 1 })
  for (let count = 0; count < 5; count += 1) await connectClient(gateway)
  expect(gateway.stats().refusedConnections).toBe(0)
})

test('a page of another origin may not connect, one that is named and a program that has none may', async () => {
  const log = new RecordedLog()
  const gateway = await startGateway({ allowOrigins: ['https://*.example.com'], log })
  const worker = await linkWorker(gateway)
  expect(await refusalOf(gateway, '/', { origin: 'https://evil.example' })).toMatchObject({ status: 403 })
  expect(log.of('origin')).toMatchObject([{ details: { origin: 'https://evil.example', reason: 'origin' } }])
  await connectClient(gateway, '/', { origin: 'https://chat.example.com' })
  await connectClient(gateway)
  await worker.nextClient()
  await worker.nextClient()
  expect(worker.frames.size).toBe(0)
})

test('a connection that is no client in time ends, and is counted', async () => {
  const gateway = await startGateway({ handshakeTimeoutMs: 1_000 })
  const worker = await linkWorker(gateway)
  const [client, silent, slow] = [
    await connectClient(gateway),
    ...(await Promise.all([0, 1].map(() => connectSocket(gateway.address.port)))),
  ]
  slow!.write('GET / HTTP/1.1\r\nHost: x\r\n')
  await Promise.all([once(silent!, 'close'), once(slow!, 'close')])
  expect(gateway.stats().refused.handshakeTimeout).toBe(2)
  client.send('still here')
  expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe('still here')
})

test('a flood of refused connections leaves none behind', async () => {
  const gateway = await startGateway({ maxConnections: 1 })
  const worker = await linkWorker(gateway)
  const client = await connectClient(gateway)
  const flood = await Promise.all(Array.from({ length: 500 }, () => connectSocket(gateway.address.port)))
  for (const socket of flood) socket.resume()
  await Promise.all(flood.map((socket) => socket.destroyed || once(socket, 'close')))
  expect(gateway.stats().refused.connections).toBe(500)
  client.close()
  await worker.next(Command.ON_CLOSE)
  await connectClient(gateway)
})

test('where no HTTP is spoken a connection that is not let in is just ended', async () => {
  for (const ssl of [undefined, makeCertificate()]) {
    const gateway = await startGateway({ maxConnections: 1, protocol: 'text', ssl })
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const first = await connectWire(gateway, WIRES.text, ssl !== undefined)
    const received: Buffer[] = []
    const second = (await connectSocket(gateway.address.port)).on('data', (chunk) => received.push(chunk))
    await once(second, 'close')
    expect(Buffer.concat(received).toString()).toBe('')
    // Under TLS, too, the place is free when the connection has ended.
    first.socket.end()
    await worker.next(Command.ON_CLOSE)
    const third = await connectWire(gateway, WIRES.text, ssl !== undefined)
    third.send('let in')
    expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe('let in')
    expect(gateway.stats()).toMatchObject({ connections: 1, refusedConnections: 1 })
  }
})

test('what needs a handshake cannot be asked for where there is none', async () => {
  await expect(startGateway({ allowOrigins: ['https://a.example'], protocol: 'text' })).rejects.toThrow(TypeError)
})
