import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WebSocketMeter } from '../src/websocket-meter.ts'
import { clientFrame } from './support/client-frame.ts'

interface Sent {
  first: number
  payload: Buffer
}

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 5 }),
  fc.constantFrom(125, 126, 127, 65_535, 65_536).map((length) => new Uint8Array(length)),
)
const control = fc.record({ first: fc.constantFrom(0x89, 0x8a), payload: fc.uint8Array({ maxLength: 125 }) })
/** A message in one frame or more, control frames between them. */
const message = fc
  .tuple(payload, fc.array(fc.tuple(fc.array(control, { maxLength: 2 }), payload), { maxLength: 3 }))
  .map(([head, rest]) => [
    { first: rest.length === 0 ? 0x82 : 0x02, payload: head },
    ...rest.flatMap(([controls, body], at) => [
      ...controls,
      { first: at === rest.length - 1 ? 0x80 : 0x00, payload: body },
    ]),
  ])
const stream = fc
  .array(fc.oneof(message, fc.array(control, { maxLength: 2 })), { maxLength: 6 })
  .map((runs) => runs.flat().map(({ first, payload }): Sent => ({ first, payload: Buffer.from(payload) })))

describe('a meter', () => {
  test('counts the same frames however the stream is split', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 30 })
    fc.assert(
      fc.property(stream, cuts, fc.integer({ min: 1, max: 3 }), (sent, cuts, maxFrames) => {
        const meter = new WebSocketMeter()
        let bytes = Buffer.concat(sent.map(({ first, payload }) => clientFrame(first, payload)))
        const counted = { fragments: 0, frames: 0, messages: 0 }
        for (const size of [...cuts, bytes.length]) {
          let chunk = bytes.subarray(0, size)
          bytes = bytes.subarray(size)
          while (chunk.length > 0) {
            chunk = chunk.subarray(meter.take(chunk, maxFrames))
            expect(meter.frames).toBeLessThanOrEqual(maxFrames)
            counted.fragments += meter.fragments
            counted.frames += meter.frames
            counted.messages += meter.messages
          }
        }
        const data = sent.filter(({ first }) => (first & 8) === 0)
        expect(counted).toEqual({
          fragments: data.filter(({ first }) => first < 0x80).length,
          frames: sent.length,
          messages: data.filter(({ first }) => first >= 0x80).length,
        })
        expect(meter.heldBytes).toBe(0)
      }),
    )
  })

  test('says at each byte how many came since the last message ended', () => {
    const meter = new WebSocketMeter()
    const message = Buffer.concat([clientFrame(0x01, 'ab'), clientFrame(0x89, 'ping'), clientFrame(0x80, 'c')])
    const held = [...message, ...clientFrame(0x8a), ...message].map((byte) => {
      meter.take(Buffer.of(byte), 1)
      return meter.heldBytes
    })
    const ofMessage = Array.from({ length: message.length }, (_, at) => (at + 1) % message.length)
    expect(held).toEqual([...ofMessage, 1, 2, 3, 4, 5, 0, ...ofMessage])
  })

  test('says where the message begins that is not whole', () => {
    const meter = new WebSocketMeter()
    const chunk = Buffer.concat([clientFrame(0x82, 'ab'), clientFrame(0x8a), clientFrame(0x02, 'c')])
    expect(meter.take(chunk, 100)).toBe(chunk.length)
    expect([meter.heldFrom, meter.heldBytes]).toEqual([14, 7])
    meter.take(clientFrame(0x00), 100)
    expect([meter.heldFrom, meter.heldBytes]).toEqual([0, 13])
  })

  test('stops behind a close frame, and behind as many messages as are asked for', () => {
    const meter = new WebSocketMeter()
    const [message, close] = [clientFrame(0x82, 'ab'), clientFrame(0x88)]
    const chunk = Buffer.concat([message, message, close, message])
    expect(meter.take(chunk, 100, 1)).toBe(message.length)
    expect(meter.take(chunk.subarray(message.length), 100)).toBe(message.length + close.length)
    expect(meter.isClosed).toBe(true)
    expect(meter.take(message, 100)).toBe(0)
  })
})
