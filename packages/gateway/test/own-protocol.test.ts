import { Command, Flag } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import type { ClientProtocol, ProtocolConnection } from '../src/index.ts'
import { linkPeer, linkWorker } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { told } from './support/told.ts'
import { ownProtocol, WIRES } from './support/wire.ts'
import { connectWire } from './support/wire-client.ts'

async function startAll(protocol: Partial<ClientProtocol>) {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, maxPayloadBytes: 100, protocol: { ...ownProtocol, ...protocol } })
  const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const backend = await linkPeer(gateway)
  const connect = async () => {
    const client = await connectWire(gateway, WIRES.own)
    await told(worker, 2)
    return client
  }
  return { backend, connect, gateway, log, worker }
}

test('a message that is decoded to a string is text', async () => {
  const { connect, worker } = await startAll({ decode: (packet) => `${packet.subarray(3)}, decoded` })
  const client = await connect()
  client.send('a')
  const { body, flag } = await worker.next(Command.ON_MESSAGE)
  expect([String(body), flag & Flag.BINARY]).toEqual(['a, decoded', 0])
})

test('a packet without a message is a sign of life', async () => {
  const { connect, gateway, worker } = await startAll({
    decode: (packet) => (packet.length === 3 ? undefined : packet.subarray(3)),
  })
  const client = await connect()
  client.send('', 'a', '')
  expect(await told(worker, 1)).toEqual(['message a'])
  expect(gateway.stats().requests).toBe(1)
})

test('a connection has its own context, and says where it comes from', async () => {
  const seen: ProtocolConnection[] = []
  const { connect, worker } = await startAll({
    decode(packet, connection) {
      connection.context.count = Number(connection.context.count ?? 0) + 1
      seen.push(connection)
      return `${packet.subarray(3)} ${connection.context.count}`
    },
  })
  const first = await connect()
  first.send('a', 'b')
  expect(await told(worker, 2)).toEqual(['message a 1', 'message b 2'])
  const second = await connect()
  second.send('c')
  expect(await told(worker, 1)).toEqual(['message c 1'])
  expect(seen.at(-1)).toMatchObject({
    maxPacketBytes: 100,
    remoteAddress: '127.0.0.1',
    remotePort: second.socket.localPort,
  })
})

describe('a client is cut off, and no other, when', () => {
  const fail = () => {
    throw new Error('a bug')
  }
  test.each<[string, Partial<ClientProtocol>, logs: number]>([
    ['input returns -1', { input: () => -1 }, 0],
    ['input throws', { input: fail }, 1],
    ['decode throws', { decode: fail }, 1],
    ['a message is longer than its packet may be', { decode: () => 'x'.repeat(101) }, 0],
  ])('%s', async (_what, protocol, logs) => {
    const { connect, gateway, log, worker } = await startAll(protocol)
    const client = await connect()
    await connect()
    client.send('a')
    await client.ended
    expect(await told(worker, 1)).toEqual(['close protocol_error'])
    expect([gateway.clientCount, log.of('failed').length]).toEqual([1, logs])
  })
})

describe('what a function of a protocol returns by mistake costs its own connection, and is named in the log:', () => {
  const rejected = () => Promise.reject(new Error('a bug'))
  const WRONG: [what: string, value: () => unknown][] = [
    ['null', () => null],
    ['NaN', () => Number.NaN],
    ['5.5', () => 5.5],
    ['true', () => true],
    ['an object (Object)', () => ({ message: 'a' })],
    ['an array', () => ['a']],
    ['an object (ArrayBuffer)', () => new ArrayBuffer(1)],
    ['a promise', async () => 'a'],
    ['a promise', rejected],
    ['a function', () => () => 'a'],
  ]
  test.each(WRONG)('decode, %s', async (what, value) => {
    const { connect, gateway, log, worker } = await startAll({ decode: value as ClientProtocol['decode'] })
    const client = await connect()
    await connect()
    client.send('a')
    await client.ended
    expect(await told(worker, 1)).toEqual(['close protocol_error'])
    const [entry] = log.of('decode failed')
    expect(entry?.details.err.message).toBe(`decode returned ${what}, and not a string or a Uint8Array`)
    expect([gateway.clientCount, log.of('unhandled').length]).toEqual([1, 0])
  })

  test.each([...WRONG, ['undefined', () => undefined], ['the string "3"', () => '3']] as typeof WRONG)(
    'input, %s',
    async (what, value) => {
      const { connect, gateway, log, worker } = await startAll({ input: value as ClientProtocol['input'] })
      const client = await connect()
      await connect()
      client.send('a')
      await client.ended
      expect(await told(worker, 1)).toEqual(['close protocol_error'])
      const [entry] = log.of('input failed')
      expect(entry?.details.err.message).toBe(`input returned ${what}, and not a whole number of bytes`)
      expect(gateway.clientCount).toBe(1)
    },
  )

  test.each([...WRONG, ['undefined', () => undefined]] as typeof WRONG)('encode, %s', async (what, value) => {
    let calls = 0
    const encode = (message: Buffer) => (calls++ === 0 ? value() : `001${message}`) as string
    const { backend, connect, gateway, log } = await startAll({ encode })
    const clients = [await connect(), await connect()]
    backend.link.send(Command.SEND_TO_ALL, 0, 1, '', 'a')
    expect(String(await clients[1]!.messages.next())).toBe('a')
    const [entry] = log.of('encode failed')
    expect(entry?.details.err.message).toBe(`encode returned ${what}, and not a string or a Uint8Array`)
    expect(gateway.clientCount).toBe(2)
  })

  test('a promise that is let go of is logged where it rejects', async () => {
    const { connect, log, worker } = await startAll({
      decode(packet) {
        void rejected()
        return packet.subarray(3)
      },
    })
    const client = await connect()
    client.send('a')
    expect(await told(worker, 1)).toEqual(['message a'])
    expect((await log.next('unhandled promise rejection')).details.err.message).toBe('a bug')
  })
})

describe('a message to many', () => {
  async function broadcast(protocol: Partial<ClientProtocol>) {
    const all = await startAll(protocol)
    const clients = [await all.connect(), await all.connect(), await all.connect()]
    all.backend.link.send(Command.SEND_TO_ALL, 0, 1, '', 'a')
    await all.backend.settled()
    return { ...all, clients }
  }

  test('is encoded for each of them', async () => {
    const { clients } = await broadcast({ encode: (message, { remotePort }) => `006${message}${remotePort}` })
    for (const { messages, socket } of clients) expect(String(await messages.next())).toBe(`a${socket.localPort}`)
  })

  test('is encoded once if the protocol says so', async () => {
    let calls = 0
    const encode = (message: Buffer) => `001${message}${calls++ === 0 ? '' : 'again'}`
    const { clients } = await broadcast({ encode, encodesForAll: true })
    for (const { messages } of clients) expect(String(await messages.next())).toBe('a')
    expect(calls).toBe(1)
  })

  test('that cannot be encoded for one of them reaches the others', async () => {
    let calls = 0
    const { backend, clients, gateway, log } = await broadcast({
      encode(message) {
        calls += 1
        if (calls === 2) throw new Error('a bug')
        return `001${message}`
      },
    })
    expect(String(await clients[0]!.messages.next())).toBe('a')
    expect(String(await clients[2]!.messages.next())).toBe('a')
    expect([log.of('encode failed').length, gateway.clientCount]).toEqual([1, 3])
    backend.link.send(Command.SEND_TO_ALL, 0, 1, '', 'b')
    expect(String(await clients[1]!.messages.next())).toBe('b')
  })
})
