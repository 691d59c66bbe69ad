import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Command } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import type { GatewayServer } from '../src/index.ts'
import { ownBytes } from '../src/own-bytes.ts'
import { clientFrame, repeat } from './support/client-frame.ts'
import { linkWorker } from './support/raw-peer.ts'
import { startGateway } from './support/start-gateway.ts'
import { WIRES } from './support/wire.ts'
import { connectWire } from './support/wire-client.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** What buffers hold, with nothing in them that nobody holds. */
async function bufferBytes(): Promise<number> {
  for (let count = 0; count < 10; count += 1) {
    collectGarbage()
    await new Promise(setImmediate) // what was read is handled, and what a collection has found is given back, in the next turns
  }
  return process.memoryUsage().arrayBuffers
}

/** All that clients have written was read. */
async function allRead(gateway: GatewayServer, bytes: number): Promise<void> {
  const read = () => gateway.connections({ limit: 1_000, offset: 0 }).rows.reduce((sum, row) => sum + row.bytesIn, 0)
  while (read() < bytes) await new Promise(setImmediate)
}

const NO_RATE = { byteRate: 0, messageRate: 0 }
const MIB = 1024 * 1024
const PONGS = repeat(clientFrame(0x8a, 'x'.repeat(125)), 64 * 1024)

describe('a byte does not keep the chunk that it came in:', () => {
  /** What a gateway keeps of clients that have each sent some chunks, which end with `last`. */
  async function kept(last: Buffer, clientCount: number, chunkCount: number): Promise<number> {
    const gateway = await startGateway({ ...NO_RATE, noWorkerTimeoutMs: 60_000 })
    await linkWorker(gateway)
    const clients = []
    for (let count = 0; count < clientCount; count += 1) clients.push(await connectWire(gateway, WIRES.websocket))
    const chunk = Buffer.concat([PONGS, last])
    const before = await bufferBytes()
    for (let count = 0; count < chunkCount; count += 1) {
      for (const { socket } of clients) await new Promise((resolve) => socket.write(chunk, resolve))
    }
    await allRead(gateway, clientCount * chunkCount * chunk.length)
    return (await bufferBytes()) - before
  }

  test('a message that waits for its worker', async () => {
    expect(await kept(clientFrame(0x82, 'a'), 10, 40)).toBeLessThan(2 * MIB) // of 25 MiB
  })

  test('the beginning of a frame', async () => {
    expect(await kept(Buffer.of(0x82), 200, 1)).toBeLessThan(2 * MIB) // of 12 MiB
  })
})

test('a message costs at most twice its greatest length, whatever comes between its fragments', async () => {
  const gateway = await startGateway({ ...NO_RATE, maxPayloadBytes: 100_000 })
  const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const { socket } = await connectWire(gateway, WIRES.websocket)
  socket.write(clientFrame(0x01, 'a'))
  const received: Buffer[] = []
  const ended = new Promise((resolve) => socket.once('close', resolve))
  socket.on('data', (chunk) => received.push(chunk))
  for (let count = 0; count < 20; count += 1) socket.write(Buffer.concat([PONGS, clientFrame(0x00, 'a')]))
  await worker.next(Command.ON_CLOSE)
  await ended
  expect(Buffer.concat(received).readUInt16BE(2)).toBe(1008)
  expect(gateway.stats().protocolErrors).toBe(1)
})

test('a long message with pings between its fragments is taken', async () => {
  const gateway = await startGateway({ maxPayloadBytes: 100_000 })
  const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const { socket } = await connectWire(gateway, WIRES.websocket)
  const part = Buffer.concat([clientFrame(0x00, 'x'.repeat(999)), clientFrame(0x89, 'y'.repeat(125))])
  socket.write(Buffer.concat([clientFrame(0x02, 'x'), repeat(part, 100 * part.length), clientFrame(0x80, 'x')]))
  expect((await worker.next(Command.ON_MESSAGE)).body.length).toBe(99_902)
})

test('bytes are copied only out of a large buffer that they are a small part of', () => {
  const large = Buffer.alloc(20_000)
  expect(ownBytes(large)).toBe(large)
  expect(ownBytes(large.subarray(0, 5_000)).buffer).toBe(large.buffer)
  expect(ownBytes(large.subarray(0, 4_999)).buffer).not.toBe(large.buffer)
  const small = Buffer.alloc(8_192)
  expect(ownBytes(small.subarray(0, 1)).buffer).toBe(small.buffer)
  expect(ownBytes(large.fill(7).subarray(5, 9))).toEqual(Buffer.alloc(4, 7))
})
