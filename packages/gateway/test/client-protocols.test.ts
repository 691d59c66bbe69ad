import { Command, Flag } from '@gatewayworker/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { GatewayServerOptions } from '../src/index.ts'
import { makeCertificate } from './support/certificate.ts'
import { linkPeer, linkWorker, type RawPeer } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { told } from './support/told.ts'
import { ownProtocol, WIRES, type Wire } from './support/wire.ts'
import { connectWire } from './support/wire-client.ts'

const ssl = makeCertificate()

interface Protocol {
  /** Whether a message comes as one, however it was sent. */
  hasBounds: boolean
  name: string
  options: Partial<GatewayServerOptions>
  wire: Wire
}

const PROTOCOLS: Protocol[] = [
  { name: 'websocket', options: { protocol: 'websocket' }, wire: WIRES.websocket, hasBounds: true },
  { name: 'wss', options: { protocol: 'websocket', ssl }, wire: WIRES.websocket, hasBounds: true },
  { name: 'text', options: { protocol: 'text' }, wire: WIRES.text, hasBounds: true },
  { name: 'text+ssl', options: { protocol: 'text', ssl }, wire: WIRES.text, hasBounds: true },
  { name: 'frame', options: { protocol: 'frame' }, wire: WIRES.frame, hasBounds: true },
  { name: 'tcp', options: { protocol: 'tcp' }, wire: WIRES.tcp, hasBounds: false },
  { name: 'ssl', options: { protocol: 'tcp', ssl }, wire: WIRES.tcp, hasBounds: false },
  { name: 'own', options: { protocol: ownProtocol }, wire: WIRES.own, hasBounds: true },
]
const withBounds = PROTOCOLS.filter(({ hasBounds }) => hasBounds)
const streams = PROTOCOLS.filter(({ wire }) => wire !== WIRES.websocket)

/** A gateway of a protocol with a worker, a backend and a client that the worker knows. */
async function startScene({ options, wire }: Protocol, more: Partial<GatewayServerOptions> = {}, acknowledges = true) {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, ...options, ...more })
  const worker = await linkWorker(gateway, 'worker:0', { acknowledges })
  const backend = await linkPeer(gateway)
  const client = await connectWire(gateway, wire, options.ssl !== undefined)
  const { connectionId } = await worker.next(Command.ON_CONNECT)
  if (wire === WIRES.websocket) await worker.next(Command.ON_WEBSOCKET_CONNECT)
  const push = (message: string | Buffer, flag: number = Flag.SCALAR) =>
    backend.link.send(Command.SEND_TO_ONE, connectionId, flag, '', message)
  return { backend, client, gateway, id: connectionId, log, push, worker }
}

/** The bodies of the next messages that a worker is told, as far as they come to so many bytes. */
async function heard(worker: RawPeer, byteCount: number): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let left = byteCount; left > 0; left -= parts.at(-1)!.length) {
    parts.push((await worker.next(Command.ON_MESSAGE)).body)
  }
  return Buffer.concat(parts)
}

describe.each(PROTOCOLS)('$name:', (protocol) => {
  test('what is sent byte by byte arrives, and so does what follows', async () => {
    const { client, worker } = await startScene(protocol)
    await client.sendInBytes('hello')
    client.send('world')
    expect(String(await heard(worker, 10))).toBe('helloworld')
  })

  test('bytes of every value arrive as they are, in both directions', async () => {
    const { client, push, worker } = await startScene(protocol)
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at)).filter((byte) => byte !== 0x0a)
    client.send(Buffer.from(bytes))
    expect(await heard(worker, bytes.length)).toEqual(Buffer.from(bytes))
    push(Buffer.from(bytes), Flag.SCALAR | Flag.BINARY)
    expect(await client.bytes(bytes.length)).toEqual(Buffer.from(bytes))
  })

  test('what comes while its worker is full waits unread, and then comes in order', async () => {
    const { client, gateway, id, worker } = await startScene(protocol, { sendToWorkerBufferSizeBytes: 4_000 }, false)
    const messages = Array.from({ length: 600 }, (_, at) => String(at).padStart(500, '.'))
    client.send(...messages)
    let bytes = (await worker.next(Command.ON_MESSAGE)).body
    await worker.settled()
    expect(gateway.stats().pausedClients).toBe(1)
    // ws says all messages of a chunk, which has 64 KiB.
    expect(worker.frames.size).toBeLessThan(protocol.wire === WIRES.websocket ? 300 : 20)
    for (let number = 1; bytes.length < 300_000; number += 1) {
      worker.acknowledge(id, number)
      await worker.settled()
      while (worker.frames.size > 0) bytes = Buffer.concat([bytes, (await worker.next(Command.ON_MESSAGE)).body])
    }
    expect(String(bytes)).toBe(messages.join(''))
  })

  test('a client that does not read is closed when too much waits for it', async () => {
    const { backend, client, gateway, push, worker } = await startScene(protocol, {
      sendToClientBufferSizeBytes: 100_000,
    })
    client.socket.pause()
    while (gateway.stats().slowClients === 0) {
      for (let count = 0; count < 20; count += 1) push('x'.repeat(64 * 1024))
      await backend.settled()
    }
    expect(await told(worker, 1)).toEqual(['close slow'])
    expect(gateway.clientCount).toBe(0)
  })

  test('what was sent before it is closed arrives, last words included, and then the connection ends', async () => {
    const { client, backend, id, push, worker } = await startScene(protocol)
    push('before')
    await backend.ask(Command.KICK, '', id, 'last words')
    expect(String(await client.bytes(16))).toBe('beforelast words')
    await client.ended
    expect(await told(worker, 1)).toEqual(['close kicked'])
  })

  test('so do last words behind more than the system takes at once', async () => {
    const { backend, client, gateway, id, push } = await startScene(protocol, { sendToClientBufferSizeBytes: 1e9 })
    client.socket.pause()
    const message = 'x'.repeat(900)
    let sentBytes = 0
    while (gateway.stats().bufferedBytes === 0) {
      for (let count = 0; count < 1_000; count += 1) push(message)
      sentBytes += 1_000 * message.length
      await backend.settled()
    }
    await backend.ask(Command.KICK, '', id, 'last words')
    client.socket.resume()
    const bytes = await client.bytes(sentBytes + 10)
    expect(bytes.toString('utf8', sentBytes)).toBe('last words')
  })

  test('one that is destroyed hears nothing more', async () => {
    const { client, backend, id } = await startScene(protocol)
    await backend.ask(Command.DESTROY, '', id)
    await client.ended
    expect(client.messages.size).toBe(0)
  })

  test('a heartbeat is sent as a message, and who stays silent is destroyed', async () => {
    const { client, worker } = await startScene(protocol, {
      pingData: 'ping',
      pingIntervalS: 0.02,
      pingNotResponseLimit: 2,
    })
    expect(String(await client.bytes(4))).toBe('ping')
    await client.ended
    expect(await told(worker, 1)).toEqual(['close heartbeat'])
  })

  test('a raw message is sent unframed', async () => {
    const { client, push } = await startScene(protocol)
    const framed = protocol.name.startsWith('w') ? Buffer.from('820161', 'hex') : protocol.wire.encode(Buffer.from('a'))
    push(framed, Flag.SCALAR | Flag.RAW)
    expect(String(await client.bytes(1)).trim()).toBe('a')
  })

  test('a client that breaks off is gone', async () => {
    const { client, gateway, worker } = await startScene(protocol)
    client.socket.destroy()
    expect(await told(worker, 1)).toEqual(['close client'])
    expect(gateway.clientCount).toBe(0)
  })

  test('a gateway that stops says goodbye', async () => {
    const { client, gateway, worker } = await startScene(protocol)
    const stopped = gateway.stop()
    await client.ended
    expect(await told(worker, 1)).toEqual(['close gateway_stopped'])
    client.socket.destroy()
    await stopped
  })
})

describe.each(withBounds)('$name:', (protocol) => {
  test('many messages in one piece are as many messages', async () => {
    const { client, worker } = await startScene(protocol)
    const messages = Array.from({ length: 200 }, (_, at) => `message ${at}`)
    client.send(...messages)
    expect(await told(worker, 200)).toEqual(messages.map((message) => `message ${message}`))
  })

  test('an empty message is one, too', async () => {
    const { client, worker } = await startScene(protocol)
    client.send('', 'a', '')
    expect(await told(worker, 3)).toEqual(['message ', 'message a', 'message '])
  })

  test('a message that is too long is a breach of the protocol, however much of it comes', async () => {
    const { client, gateway, worker } = await startScene(protocol, { maxPayloadBytes: 100 })
    const tooLong = protocol.wire.encode(Buffer.alloc(101, 'x'))
    client.socket.write(tooLong.subarray(0, protocol.name.startsWith('text') ? 100 : 10))
    await client.ended
    expect(await told(worker, 1)).toEqual(['close protocol_error'])
    expect(gateway.stats().protocolErrors).toBe(1)
  })

  test('a message as long as may be is none', async () => {
    const overhead = protocol.wire === WIRES.websocket ? 0 : protocol.wire.encode(Buffer.alloc(0)).length
    const { client, worker } = await startScene(protocol, { maxPayloadBytes: 100 })
    const message = 'x'.repeat(100 - overhead)
    client.send(message)
    await client.sendInBytes(message)
    expect(await told(worker, 2)).toEqual([`message ${message}`, `message ${message}`])
  })
})

describe.each(streams)('$name:', (protocol) => {
  test('its clients have no handshake', async () => {
    const { client, worker } = await startScene(protocol)
    client.send('a')
    expect(await told(worker, 1)).toEqual(['message a'])
  })

  test('a client that has ended its side still gets the answer to what it has said, and then leaves', async () => {
    const { backend, client, gateway, id, push, worker } = await startScene(protocol, {}, false)
    worker.acknowledge(id, 1)
    client.send('question')
    client.socket.end()
    expect(String(await heard(worker, 8))).toBe('question')
    push('answer')
    await backend.settled()
    expect(gateway.clientCount).toBe(1)
    worker.acknowledge(id, 2)
    expect(String(await client.bytes(6))).toBe('answer')
    await client.ended
    expect(await told(worker, 1)).toEqual(['close client'])
  })

  test('a client that has ended its side and waits for no answer leaves at once', async () => {
    const { client, worker } = await startScene(protocol)
    await worker.settled()
    client.socket.end()
    expect(await told(worker, 1)).toEqual(['close client'])
    await client.ended
  })
})

test('a client that is closed and does not end its side is cut off', async () => {
  const { backend, client, id } = await startScene(PROTOCOLS.find(({ name }) => name === 'text')!)
  const closed = new Promise((resolve) => client.socket.once('close', resolve))
  await backend.ask(Command.KICK, '', id)
  await client.ended
  const talking = setInterval(() => client.send('still there'), 20)
  onTestFinished(() => clearInterval(talking))
  await closed
})
