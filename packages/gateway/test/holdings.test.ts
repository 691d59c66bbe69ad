import { Command, Flag } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { defaultMaxBufferedBytes } from '../src/holdings.ts'
import { clientFrame } from './support/client-frame.ts'
import { linkPeer, linkWorker } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'
import { told } from './support/told.ts'
import { ownProtocol, WIRES } from './support/wire.ts'
import { connectWire } from './support/wire-client.ts'

describe('a message that has no end in time closes its client:', () => {
  test.each([
    ['a frame', 'websocket', clientFrame(0x82, 'hello').subarray(0, -1)],
    ['a header', 'websocket', Buffer.of(0x82)],
    ['a fragment', 'websocket', clientFrame(0x02, 'hello')],
    ['a line', 'text', Buffer.from('hello')],
    ['a packet', 'frame', Buffer.from('00000006aa', 'hex')],
    ['a packet of its own protocol', 'own', Buffer.from('005hell')],
  ] as const)('%s', async (_what, name, bytes) => {
    const gateway = await startGateway({ messageTimeoutMs: 100, protocol: name === 'own' ? ownProtocol : name })
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const client = await connectWire(gateway, WIRES[name])
    const other = await connectWire(gateway, WIRES[name])
    client.socket.write(bytes)
    await client.ended
    await worker.next(Command.ON_CLOSE)
    expect(gateway.stats()).toMatchObject({ connections: 1, protocolErrors: 1 })
    other.send('still here')
    expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe('still here')
  })

  test('a page is told so', async () => {
    const gateway = await startGateway({ messageTimeoutMs: 100 })
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const client = await connectClient(gateway)
    await worker.nextClient()
    client.socket.send('begun', { fin: false })
    expect(await client.closed).toEqual({ code: 4005, reason: 'message takes too long' })
    expect(await told(worker, 1)).toEqual(['close protocol_error'])
  })

  test('but not if pings keep it company', async () => {
    const gateway = await startGateway({ messageTimeoutMs: 300 })
    await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const client = await connectClient(gateway)
    client.socket.send('begun', { fin: false })
    const timer = setInterval(() => client.socket.ping(), 20)
    expect((await client.closed).code).toBe(4005)
    clearInterval(timer)
  })

  test('unless it is us who do not read it', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ clientWindow: 2, log, messageTimeoutMs: 100 })
    const worker = await linkWorker(gateway)
    const client = await connectWire(gateway, WIRES.websocket)
    const id = await worker.nextClient() // which it does not acknowledge
    const message = clientFrame(0x82, 'second')
    client.socket.write(Buffer.concat([clientFrame(0x82, 'first'), message.subarray(0, -1)]))
    const other = await connectClient(gateway) // closed in its time
    other.socket.send('begun', { fin: false })
    await other.closed
    client.socket.write(message.subarray(-1))
    worker.acknowledge(id, 2)
    expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe('first')
    worker.acknowledge(id, 3)
    expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe('second')
  })
})

describe('when too much is kept for all clients, those for whom most is kept are closed:', () => {
  test('messages that are not whole', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log, maxBufferedBytes: 1_000_000 })
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const clients = []
    for (const kilobytes of [300, 500, 250]) {
      const client = await connectClient(gateway)
      await worker.nextClient()
      client.socket.send(Buffer.alloc(kilobytes * 1_000), { fin: false })
      clients.push(client)
    }
    expect(await clients[1]!.closed).toEqual({ code: 4004, reason: 'too much is kept for you' })
    expect(await told(worker, 1)).toEqual(['close memory'])
    for (const client of [clients[0]!, clients[2]!]) client.socket.send('end')
    for (const _ of [0, 2]) expect((await worker.next(Command.ON_MESSAGE)).body.length).toBeGreaterThan(250_000)
    expect(gateway.stats()).toMatchObject({ connections: 2, memoryClients: 1 })
    expect(log.of('too much together')).toMatchObject([{ details: { clients: 1, maxBufferedBytes: 1_000_000 } }])
  })

  test('output that waits', async () => {
    const gateway = await startGateway({ maxBufferedBytes: 3_000_000, sendToClientBufferSizeBytes: 1e9 })
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const backend = await linkPeer(gateway)
    const client = await connectClient(gateway)
    const id = await worker.nextClient()
    client.socket.pause()
    while (gateway.stats().memoryClients === 0) {
      if (gateway.stats().bufferedBytes < 10_000_000) {
        backend.link.send(Command.SEND_TO_ONE, id, Flag.SCALAR, '', 'x'.repeat(100_000))
      }
      await backend.settled()
    }
    expect(await told(worker, 1)).toEqual(['close memory'])
  })

  test('events that are not handled', async () => {
    const gateway = await startGateway({ clientWindowBytes: 1e9, maxBufferedBytes: 1_000_000 })
    const worker = await linkWorker(gateway)
    const backend = await linkPeer(gateway)
    const client = await connectClient(gateway)
    await worker.nextClient()
    for (let count = 0; count < 12; count += 1) client.send('x'.repeat(100_000))
    while (gateway.stats().memoryClients === 0) await backend.settled()
    expect((await client.closed).code).toBe(4004)
  })
})

test('by default a quarter of the memory may be kept', () => {
  expect(defaultMaxBufferedBytes()).toBeGreaterThan(64 * 1024 * 1024)
})
