import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Command, Flag, msgpack } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import type { GatewayServerOptions } from '../src/index.ts'
import { clientFrame, repeat } from './support/client-frame.ts'
import { connectSocket, linkPeer, linkWorker } from './support/raw-peer.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'
import { WIRES, type Wire } from './support/wire.ts'
import { connectWire } from './support/wire-client.ts'

const MIB = 1024 * 1024
/** What a gateway may have read of a client when it has paused it: a turn of it, and what lay ready in its socket. */
const READ_AT_MOST = 512 * 1024

const EMPTY_FRAGMENTS = Buffer.concat([clientFrame(0x01), repeat(clientFrame(0x00), 98 * 6), clientFrame(0x80)])

/** A busy machine handles so many of each of 50, too. */
const MESSAGE_RATE = 100

const FLOODS: [what: string, wire: Wire, options: Partial<GatewayServerOptions>, flood: Buffer][] = [
  ['pongs', WIRES.websocket, {}, clientFrame(0x8a)],
  ['pings', WIRES.websocket, {}, clientFrame(0x89)],
  ['messages of 100 empty fragments', WIRES.websocket, {}, EMPTY_FRAGMENTS],
  ['empty messages', WIRES.websocket, {}, clientFrame(0x82)],
  ['messages of a byte', WIRES.websocket, {}, clientFrame(0x81, 'a')],
  ['empty lines', WIRES.text, { protocol: 'text' }, Buffer.from('\n')],
  ['empty packets', WIRES.frame, { protocol: 'frame' }, Buffer.from('00000004', 'hex')],
  [
    'heartbeats of a protocol of its own',
    WIRES.own,
    { protocol: { input: () => 3, decode: () => undefined, encode: () => '' } },
    Buffer.from('000'),
  ],
]

test.each(FLOODS)('50 clients that flood with %s are not read, and everybody else is served', async (...flood) => {
  const [, wire, options, unit] = flood
  const gateway = await startGateway({ messageRate: MESSAGE_RATE, ...options })
  const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const backend = await linkPeer(gateway)
  const bystander = await connectWire(gateway, wire)
  const { connectionId } = await worker.next(Command.ON_CONNECT)
  const attackers = await Promise.all(Array.from({ length: 50 }, () => connectWire(gateway, wire)))
  const bytes = repeat(unit, MIB)
  for (const { socket } of attackers) for (let count = 0; count < 4; count += 1) socket.write(bytes)
  while (gateway.stats().limitedClients < 50) {
    backend.link.send(Command.SEND_TO_ONE, connectionId, Flag.SCALAR, '', wire === WIRES.own ? '' : 'still here')
    if (wire !== WIRES.own) expect(String(await bystander.messages.next()).trim()).toBe('still here')
    await backend.settled()
  }
  expect(gateway.stats()).toMatchObject({ connections: 51, protocolErrors: 0 })
  const { rows } = gateway.connections({ limit: 100, offset: 0 })
  for (const { bytesIn } of rows) expect(bytesIn).toBeLessThan(READ_AT_MOST)
})

test('a client whose fragments never end is closed, and no more of it is read', async () => {
  const gateway = await startGateway()
  const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const attacker = await connectWire(gateway, { ...WIRES.websocket, isGoodbye: () => false })
  const closed = new Promise((resolve) => attacker.socket.once('close', resolve)) // whatever breaks it
  const bytes = repeat(clientFrame(0x00), MIB)
  attacker.socket.write(clientFrame(0x01))
  let takenBytes = 0
  for (let count = 0; count < 40; count += 1) {
    attacker.socket.write(bytes, (error) => {
      if (!error) takenBytes += bytes.length
    })
  }
  await attacker.ended
  await worker.next(Command.ON_CLOSE)
  expect(gateway.stats()).toMatchObject({ connections: 0, protocolErrors: 1 })
  await closed
  expect(takenBytes).toBeLessThan(20 * MIB) // what the kernel keeps for both, and what is read after a close
})

test.each([
  ['pongs', clientFrame(0x8a)],
  ['pings', clientFrame(0x89)],
  ['messages of 100 empty fragments', EMPTY_FRAGMENTS],
])('with --rate-policy close a flood of %s closes its client', async (_what, unit) => {
  const gateway = await startGateway({ messageRate: MESSAGE_RATE, ratePolicy: 'close' })
  const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const { socket } = await connectWire(gateway, WIRES.websocket)
  socket.write(repeat(unit, MIB))
  const { body } = await worker.next(Command.ON_CLOSE)
  expect(msgpack.decode(body)).toEqual({ reason: 'rate_limited' })
})

test('with --rate-policy drop nobody else waits for those who flood', async () => {
  const gateway = await startGateway({ messageRate: MESSAGE_RATE, ratePolicy: 'drop' })
  const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const bystander = await connectWire(gateway, WIRES.websocket)
  const { connectionId } = await worker.next(Command.ON_CONNECT)
  const attackers = await Promise.all(Array.from({ length: 20 }, () => connectWire(gateway, WIRES.websocket)))
  const bytes = repeat(clientFrame(0x82, 'a'), MIB)
  for (const { socket } of attackers) socket.write(bytes)
  bystander.send('me, too')
  for (;;) {
    const frame = await worker.next(Command.ON_MESSAGE)
    if (frame.connectionId === connectionId) break
  }
  // All that they have sent is 150 000 messages each.
  expect(gateway.stats().droppedRequests).toBeLessThan(20 * 10_000)
})

test('what answers a ping costs nothing', async () => {
  const gateway = await startGateway({ idleTimeoutMs: 100, messageRate: 0.1 })
  await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const client = await connectClient(gateway)
  for (let count = 0; count < 3; count += 1) await once(client.socket, 'ping')
  expect(gateway.stats()).toMatchObject({ connections: 1, limitedClients: 0 })
})

describe('a turn of one client ends', () => {
  /** A worker's messages in the order in which it was told them: of `flood` written first, and of another client who wrote right after. */
  async function order(wire: Wire, options: Partial<GatewayServerOptions>, unit: Buffer, bytes: number) {
    const gateway = await startGateway({ byteRate: 0, messageRate: 0, ...options })
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const flooder = await connectWire(gateway, wire)
    const { connectionId } = await worker.next(Command.ON_CONNECT)
    const other = await connectWire(gateway, wire)
    await worker.next(Command.ON_CONNECT)
    flooder.socket.write(repeat(unit, bytes))
    other.send('me, too')
    let before = 0
    for (;;) {
      const frame = await worker.next(Command.ON_MESSAGE)
      if (frame.connectionId !== connectionId) return before
      before += 1
    }
  }

  test.each([
    ['websocket', WIRES.websocket, clientFrame(0x82, 'a')],
    ['text', WIRES.text, Buffer.from('a\n')],
    ['frame', WIRES.frame, Buffer.from('0000000561', 'hex')],
  ] as const)('after some pieces, though more of it has come: %s', async (protocol, wire, unit) => {
    expect(await order(wire, { protocol }, unit, 60_000)).toBeLessThan(3_000)
  })

  test('and goes on in the next one: nothing is lost, nothing comes twice', async () => {
    const gateway = await startGateway({ byteRate: 0, messageRate: 0 })
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const client = await connectWire(gateway, WIRES.websocket)
    const numbers = Array.from({ length: 20_000 }, (_, number) => String(number))
    client.send(...numbers)
    for (const number of numbers) expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe(number)
  })

  test.each(['text', 'frame'] as const)('also where it has ended its side: %s', async (protocol) => {
    const gateway = await startGateway({ byteRate: 0, messageRate: 0, protocol })
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const { socket } = await connectWire(gateway, WIRES[protocol])
    socket.end(
      Buffer.concat(Array.from({ length: 5_000 }, (_, number) => WIRES[protocol].encode(Buffer.from(`${number}`)))),
    )
    for (let number = 0; number < 5_000; number += 1) {
      expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe(String(number))
    }
    await worker.next(Command.ON_CLOSE)
  })

  test('also where it has sent its last: a close frame behind many messages', async () => {
    const gateway = await startGateway({ byteRate: 0, messageRate: 0 })
    const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const { socket } = await connectWire(gateway, WIRES.websocket)
    socket.write(Buffer.concat([repeat(clientFrame(0x82, 'a'), 70_000), clientFrame(0x88)]))
    for (let count = 0; count < 10_000; count += 1) await worker.next(Command.ON_MESSAGE)
    await worker.next(Command.ON_CLOSE)
  })
})

test('many bytes in few frames are charged, too: a client over its byte rate is not read', async () => {
  const gateway = await startGateway({ byteRate: 100_000 })
  await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const backend = await linkPeer(gateway)
  const client = await connectWire(gateway, WIRES.websocket)
  for (let count = 0; count < 100; count += 1)
    client.socket.write(repeat(clientFrame(0x8a, 'x'.repeat(125)), 64 * 1024))
  while (gateway.stats().pausedClients === 0) await backend.settled()
  const [row] = gateway.connections({ limit: 1, offset: 0 }).rows
  expect(row!.bytesIn).toBeLessThan(READ_AT_MOST)
})

test.each(['text', 'tcp'] as const)('a client of %s is charged for bytes that are no message yet', async (protocol) => {
  const gateway = await startGateway({ byteRate: 1_000, protocol })
  await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const backend = await linkPeer(gateway)
  const client = await connectWire(gateway, WIRES[protocol])
  const isRead = (socket: Socket) => new Promise((resolve) => socket.write(Buffer.alloc(1_000, 'x'), resolve))
  for (let count = 0; count < 100; count += 1) await isRead(client.socket)
  while (gateway.stats().limitedClients === 0) await backend.settled()
})

test('short pieces of a message cost as much as messages', async () => {
  const gateway = await startGateway({ messageRate: 20, protocol: 'text' })
  await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const backend = await linkPeer(gateway)
  const client = await connectSocket(gateway.address.port)
  client.setNoDelay(true)
  while (gateway.stats().limitedClients === 0) {
    await new Promise((resolve) => client.write('x', resolve))
    await backend.settled()
  }
})
