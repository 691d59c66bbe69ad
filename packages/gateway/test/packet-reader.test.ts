import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PacketError, PacketReader } from '../src/packet-reader.ts'
import { STREAM_PROTOCOLS } from '../src/stream-protocol.ts'

const MAX_BYTES = 100_000
const connection = { context: {}, maxPacketBytes: MAX_BYTES, remoteAddress: '', remotePort: 0 }

function readerOf(protocol: 'frame' | 'text', maxBytes = MAX_BYTES): PacketReader {
  return new PacketReader((buffer, seen) => STREAM_PROTOCOLS[protocol].input(buffer, connection, seen), maxBytes)
}

/** All packets that are there, and are still what they were when others have come. */
function takeAll(reader: PacketReader, into: Buffer[]): void {
  for (let packet = reader.next(); packet !== undefined; packet = reader.next()) into.push(packet)
}

function framed(body: Uint8Array): Buffer {
  const packet = Buffer.alloc(4 + body.length)
  packet.writeUInt32BE(packet.length)
  packet.set(body, 4)
  return packet
}

describe('a reader of packets', () => {
  test('finds the same packets however the stream is split, and writes over none', () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 })
    const cuts = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 30 })
    fc.assert(
      fc.property(bodies, cuts, fc.boolean(), (bodies, cuts, isInterrupted) => {
        const packets = bodies.map(framed)
        let stream = Buffer.concat(packets)
        const reader = readerOf('frame')
        const found: Buffer[] = []
        for (const size of [...cuts, stream.length]) {
          reader.push(Buffer.from(stream.subarray(0, size)))
          stream = stream.subarray(size)
          if (isInterrupted) {
            const packet = reader.next()
            if (packet !== undefined) found.push(packet)
            reader.push(reader.takeRest()) // as a transport does that is paused
          }
          takeAll(reader, found)
        }
        expect(Buffer.concat(found).equals(Buffer.concat(packets))).toBe(true)
        expect(found.length).toBe(packets.length)
      }),
    )
  })

  test('shows what it searches how far it has searched before', () => {
    const line = Buffer.from(`${'x'.repeat(1_000)}\nnext`)
    const shown: [length: number, seen: number][] = []
    const reader = new PacketReader((buffer, seen) => {
      shown.push([buffer.length, seen])
      return buffer.indexOf(10, seen) + 1
    }, MAX_BYTES)
    const found: Buffer[] = []
    for (const byte of line) {
      reader.push(Buffer.of(byte))
      takeAll(reader, found)
    }
    expect(found.map(String)).toEqual([`${'x'.repeat(1_000)}\n`])
    expect(shown).toEqual([...Array(1_001).keys(), 0, 1, 2, 3].map((seen) => [seen + 1, seen]))
  })

  test('copies what comes in small pieces a bounded number of times', () => {
    let allocated = 0
    const allocUnsafe = Buffer.allocUnsafe
    Buffer.allocUnsafe = (size) => {
      allocated += size
      return allocUnsafe(size)
    }
    try {
      const reader = readerOf('text')
      for (let at = 0; at < MAX_BYTES - 1; at += 1) {
        reader.push(Buffer.of(0x61))
        expect(reader.next()).toBeUndefined()
      }
      expect(allocated).toBeLessThan(5 * MAX_BYTES)
    } finally {
      Buffer.allocUnsafe = allocUnsafe
    }
  })

  test('does not keep a chunk for a few bytes of it', () => {
    const chunk = Buffer.alloc(65_536, '\n')
    chunk[65_535] = 0x61
    const reader = readerOf('text')
    reader.push(chunk)
    takeAll(reader, [])
    expect(reader.takeRest().buffer).not.toBe(chunk.buffer)
  })

  test.each([
    ['a length over the limit, from the length alone', framed(Buffer.alloc(0)).fill(0xff)],
    ['a length that is none', Buffer.from('00000003', 'hex')],
  ])('refuses %s', (_what, bytes) => {
    const reader = readerOf('frame')
    reader.push(bytes)
    expect(() => reader.next()).toThrow(PacketError)
  })

  test('refuses a packet without end as soon as it has as many bytes as one may have', () => {
    const reader = readerOf('text', 10)
    reader.push(Buffer.from('123456789\n123456789'))
    expect(String(reader.next())).toBe('123456789\n')
    expect(reader.next()).toBeUndefined()
    reader.push(Buffer.from('0'))
    expect(() => reader.next()).toThrow(PacketError)
  })

  test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1', undefined, null])(
    'refuses %s as a length',
    (length) => {
      const reader = new PacketReader(() => length as number, MAX_BYTES)
      reader.push(Buffer.from('a'))
      expect(() => reader.next()).toThrow(PacketError)
    },
  )
})
