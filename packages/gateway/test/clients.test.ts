import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Command, Flag } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { GatewayServer } from '../src/index.ts'
import { connectSocket, linkPeer, linkWorker } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient, type TestClient } from './support/test-client.ts'

/** The TCP socket under a client, for saying what no WebSocket library would. */
function socketOf(client: TestClient): Socket {
  return (client.socket as unknown as { _socket: Socket })._socket
}

/** A gateway with a worker and a backend. */
async function startAll(options: Parameters<typeof startGateway>[0] = {}) {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, ...options })
  const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
  return { backend: await linkPeer(gateway), gateway, log, worker }
}

test.each([
  ['one message longer than the buffer', 1, 1_200_000],
  ['two of more than half of it', 2, 600_000],
  ['many of one turn', 150, 10_000],
])('a client that reads is not too slow for %s', async (_name, count, bytes) => {
  const { backend, gateway, worker } = await startAll({ sendToClientBufferSizeBytes: 1_024_000 })
  const client = await connectClient(gateway)
  const id = await worker.nextClient()
  for (let sent = 0; sent < count; sent += 1) backend.link.send(Command.SEND_TO_ONE, id, 1, '', 'x'.repeat(bytes))
  backend.link.send(Command.SEND_TO_ONE, id, 1, '', 'end')
  const messages = await client.messages.take(count + 1)
  expect(messages.map(({ length }) => length)).toEqual([...Array(count).fill(bytes), 3])
  expect(gateway.stats().slowClients).toBe(0)
})

describe('a client that reads too slowly', () => {
  const BUFFER_BYTES = 100_000
  const MESSAGE = 'x'.repeat(64 * 1024)
  const ENOUGH = 400

  /** Sends to a client that does not read until its gateway has had enough of it, and somewhat more. */
  async function overwhelm(slowClientPolicy: 'close' | 'drop') {
    const all = await startAll({ sendToClientBufferSizeBytes: BUFFER_BYTES, slowClientPolicy })
    const client = await connectClient(all.gateway)
    const id = await all.worker.nextClient()
    const other = await connectClient(all.gateway)
    client.socket.pause()
    let delivered = 0
    let slow = 0
    for (let at = 0; at < ENOUGH; at += 1) {
      const receipt = await all.backend.ask(Command.SEND_TO_ONE, '', id, MESSAGE)
      delivered += (receipt as number[])[0]!
      slow += (receipt as number[])[1]!
    }
    all.backend.link.send(Command.SEND_TO_ALL, 0, 1, '', 'end')
    expect(await other.messages.next()).toBe('end')
    return { ...all, client, delivered, id, slow }
  }

  test('is logged once for all that are slow at the same time', async () => {
    const { backend, gateway, log } = await startAll({ sendToClientBufferSizeBytes: BUFFER_BYTES })
    const clients = await Promise.all([1, 2, 3].map(() => connectClient(gateway)))
    for (const client of clients) client.socket.pause()
    for (let at = 0; at < ENOUGH; at += 1) await backend.ask(Command.SEND_TO_ALL, '', 0, MESSAGE)
    expect(gateway.stats().slowClients).toBe(3)
    expect(log.of('reads too slowly')).toMatchObject([{ details: { clients: 1 } }])
  })

  test('is closed with 4001, after everything that was taken for it', async () => {
    const { client, delivered, gateway, id, log, slow, worker } = await overwhelm('close')
    // Once it was closed there is nobody to send to, and so nobody who is slow.
    expect(slow).toBe(1)
    expect(gateway.stats()).toMatchObject({ droppedMessages: 0, slowClients: 1 })
    expect(log.of('reads too slowly')).toMatchObject([
      { level: 'warn', details: { bufferSizeBytes: BUFFER_BYTES, clientId: worker.clientId(id), policy: 'close' } },
    ])
    client.socket.resume()
    expect(await client.messages.take(delivered)).toEqual(Array(delivered).fill(MESSAGE))
    expect(await client.closed).toEqual({ code: 4001, reason: 'reads too slowly' })
    expect((await worker.next(Command.ON_CLOSE)).connectionId).toBe(id)
  })

  test('loses what does not fit under the policy drop, and that is counted and logged once', async () => {
    const { backend, client, delivered, gateway, id, log, slow } = await overwhelm('drop')
    expect(slow).toBeGreaterThan(1)
    expect(delivered + slow).toBe(ENOUGH)
    // The end mark for everybody came too late for it as well.
    expect(gateway.stats()).toMatchObject({ droppedMessages: slow + 1, slowClients: 1 })
    expect(log.of('reads too slowly')).toHaveLength(1)
    client.socket.resume()
    await client.messages.take(delivered)
    expect(await backend.ask(Command.SEND_TO_ONE, '', id, 'again')).toEqual([1, 0])
    expect(await client.messages.next()).toBe('again')
  })
})

describe('permessage-deflate', () => {
  test('is off unless it is asked for', async () => {
    const { gateway } = await startAll()
    expect((await connectClient(gateway)).socket.extensions).toBe('')
  })

  test('messages of all sizes arrive in order, and the last words before the close', async () => {
    const { backend, gateway, worker } = await startAll({ compression: true })
    const client = await connectClient(gateway)
    expect(client.socket.extensions).toContain('permessage-deflate')
    const id = await worker.nextClient()
    const messages = Array.from({ length: 60 }, (_, at) => `${at} ${'text '.repeat(at % 3 === 0 ? 2_000 : 1)}`)
    for (const message of messages) backend.link.send(Command.SEND_TO_ONE, id, 1, '', message)
    backend.link.send(Command.KICK, id, 1, '', 'last words')
    expect(await client.messages.take(61)).toEqual([...messages, 'last words'])
    expect((await client.closed).code).toBe(1000)
  })

  test('raw messages overtake none, and are overtaken by none', async () => {
    const { backend, gateway, worker } = await startAll({ compression: true })
    const client = await connectClient(gateway)
    const id = await worker.nextClient()
    const send = (message: string | Buffer, flag = 0) =>
      backend.link.send(Command.SEND_TO_ONE, id, Flag.SCALAR | flag, '', message)
    const long = 'text '.repeat(20_000)
    const raw = (letter: string) => send(Buffer.from(`8101${Buffer.from(letter).toString('hex')}`, 'hex'), Flag.RAW)
    for (let round = 0; round < 3; round += 1) {
      send(long)
      raw('a')
      send('b')
      raw('c')
      raw('d')
      send(long)
      raw('e')
    }
    backend.link.send(Command.KICK, id, 1, '', 'last words')
    const round = [long, 'a', 'b', 'c', 'd', long, 'e']
    expect(await client.messages.take(22)).toEqual([...round, ...round, ...round, 'last words'])
    expect(await client.closed).toMatchObject({ code: 1000 })
  })

  test('a client is charged for what its messages become, and nothing that is inflated passes a pause', async () => {
    const { backend, gateway } = await startAll({ byteRate: 1_000_000, compression: true })
    const client = await connectClient(gateway)
    for (let count = 0; count < 100; count += 1) client.send('x'.repeat(400_000))
    while (gateway.stats().limitedClients === 0) await backend.settled()
    // Two are less than a second allows, the third passes, and one more may have been on its way when that was known.
    expect(gateway.stats().requests).toBeLessThanOrEqual(4)
  })

  test('what waits to be compressed counts as waiting output', async () => {
    const { backend, gateway, worker } = await startAll({ compression: true, sendToClientBufferSizeBytes: 100_000 })
    const client = await connectClient(gateway)
    const id = await worker.nextClient()
    backend.link.send(Command.BIND_UID, id, 0, 'u')
    // All in one turn: nothing of it has reached the socket when the limit is met.
    const often = JSON.stringify(Array(100).fill('u'))
    backend.link.send(Command.SEND_TO_UID, 0, 1, often, randomBytes(25_000).toString('base64'))
    expect((await client.closed).code).toBe(4001)
    expect(gateway.stats().slowClients).toBe(1)
  })

  test('a client without it gets the same broadcast', async () => {
    const { backend, gateway, worker } = await startAll({ compression: true })
    const clients = [await connectClient(gateway), await connectClient(gateway, '/', { perMessageDeflate: false })]
    for (const _ of clients) await worker.nextClient()
    backend.link.send(Command.SEND_TO_ALL, 0, 1, '', 'to everybody')
    for (const client of clients) expect(await client.messages.next()).toBe('to everybody')
  })
})

describe('a client that breaks the rules is closed, and no other', () => {
  const masked = (header: string) => Buffer.from(`${header}00000000`, 'hex')

  test.each([
    ['a message that is too long', Buffer.from('82ff000000000010000000000000', 'hex'), 1009],
    ['reserved bits', Buffer.concat([masked('f181'), Buffer.from('a')]), 1002],
    ['a frame without a mask', Buffer.from('810161', 'hex'), 1002],
    ['an unknown opcode', masked('8380'), 1002],
    ['a continuation of nothing', masked('8080'), 1002],
    ['text that is no UTF-8', Buffer.concat([masked('8182'), Buffer.from('c328', 'hex')]), 1007],
  ])('%s', async (_what, bytes, code) => {
    const { gateway, worker } = await startAll({ maxPayloadBytes: 1_000 })
    const [bad, good] = [await connectClient(gateway), await connectClient(gateway)]
    const id = await worker.nextClient()
    socketOf(bad).write(bytes)
    expect((await bad.closed).code).toBe(code)
    expect((await worker.next(Command.ON_CLOSE)).connectionId).toBe(id)
    good.send('still here')
    expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe('still here')
  })

  test('a message just short enough is taken', async () => {
    const { gateway, worker } = await startAll({ maxPayloadBytes: 1_000 })
    const client = await connectClient(gateway)
    client.send('x'.repeat(1_000))
    expect((await worker.next(Command.ON_MESSAGE)).body.length).toBe(1_000)
  })
})

test('a connection that breaks off is an ON_CLOSE', async () => {
  const { gateway, worker } = await startAll()
  const client = await connectClient(gateway)
  const id = await worker.nextClient()
  client.socket.terminate()
  expect((await worker.next(Command.ON_CLOSE)).connectionId).toBe(id)
  expect(gateway.clientCount).toBe(0)
})

test('a WebSocket ping is answered, and counts as a sign of life', async () => {
  const { gateway } = await startAll({ pingIntervalS: 0.2, pingNotResponseLimit: 1, pingData: 'are you there?' })
  const [lively, silent] = [await connectClient(gateway), await connectClient(gateway)]
  const beat = setInterval(() => lively.socket.ping(), 40)
  try {
    expect(await silent.messages.next()).toBe('are you there?')
    expect((await silent.closed).code).toBe(1006)
    await once(lively.socket, 'pong')
    expect(lively.messages.size).toBe(0)
  } finally {
    clearInterval(beat)
  }
})

describe('the client port', () => {
  test('answers an HTTP request with 426', async () => {
    const { gateway } = await startAll()
    const response = await fetch(`http://127.0.0.1:${gateway.address.port}/`)
    expect(response.status).toBe(426)
    expect(response.headers.get('upgrade')).toBe('websocket')
    expect(await response.text()).toContain('ws://')
  })

  test('lets nothing into the workers that is no WebSocket handshake', async () => {
    const { gateway, worker } = await startAll()
    const socket = await connectSocket(gateway.address.port)
    socket.write(
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n',
    )
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toMatch(/^HTTP\/1\.1 400 /)
    await worker.settled()
    expect(worker.frames.size).toBe(0)
  })
})

describe('starting', () => {
  test('with a taken client port rejects with EADDRINUSE and lets go of the LAN port', async () => {
    const { gateway } = await startAll()
    const free = await startGateway()
    const lanPort = Number(free.lanAddress.split(':')[1])
    await free.stop()
    const options = { clientHost: '127.0.0.1', lanPort, registerAddresses: ['127.0.0.1:1'] }
    const late = new GatewayServer({ ...options, clientPort: gateway.address.port })
    await expect(late.start()).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect((await startGateway(options)).lanAddress).toBe(`127.0.0.1:${lanPort}`)
  })

  test('a message that no frame could carry cannot be allowed', () => {
    const options = { maxPayloadBytes: 10 * 1024 * 1024, registerAddresses: ['127.0.0.1:1'] }
    expect(() => new GatewayServer(options)).toThrow(RangeError)
  })
})

describe('stopping', () => {
  test('says 1001 to every client, after what waits for it, and tells the workers of each', async () => {
    const { backend, gateway, worker } = await startAll()
    const clients = [await connectClient(gateway), await connectClient(gateway), await connectClient(gateway)]
    const ids = [await worker.nextClient(), await worker.nextClient(), await worker.nextClient()]
    await backend.ask(Command.SEND_TO_ALL, '', 0, 'last words')
    await gateway.stop()
    for (const client of clients) {
      expect(await client.messages.next()).toBe('last words')
      expect(await client.closed).toEqual({ code: 1001, reason: 'gateway stops' })
    }
    const closes = [
      await worker.next(Command.ON_CLOSE),
      await worker.next(Command.ON_CLOSE),
      await worker.next(Command.ON_CLOSE),
    ]
    expect(closes.map(({ connectionId }) => connectionId)).toEqual(ids)
  })

  test('lets nobody in whose handshake comes too late', async () => {
    const { gateway } = await startAll()
    const socket = await connectSocket(gateway.address.port)
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n')
    // The server has the first half of the request when another one behind it was answered.
    await fetch(`http://127.0.0.1:${gateway.address.port}/`)
    const received: Buffer[] = []
    socket.on('data', (chunk) => received.push(chunk))
    const closed = once(socket, 'close')
    await gateway.stop()
    socket.write(
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    )
    await closed
    expect(Buffer.concat(received).toString()).not.toContain('101')
    expect(gateway.clientCount).toBe(0)
  })
})
