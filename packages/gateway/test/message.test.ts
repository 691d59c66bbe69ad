import { describe, expect, test } from 'vitest'
// @ts-expect-error ws has it, its types do not
import { Receiver } from 'ws'
import { OutgoingMessage } from '../src/message.ts'
import { frameWebSocketMessage } from '../src/websocket-frame.ts'

const LENGTHS = [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000]

/** What a client reads from the bytes: ws's own receiver, as a browser would. */
function receive(bytes: Buffer): Promise<{ data: Buffer; isBinary: boolean }> {
  return new Promise((resolve, reject) => {
    const receiver = new Receiver({ isServer: false, binaryType: 'nodebuffer' })
    receiver.on('message', (data: Buffer, isBinary: boolean) => resolve({ data, isBinary }))
    receiver.on('error', reject)
    receiver.write(bytes)
  })
}

describe('a framed message', () => {
  test.each(LENGTHS)('of %i bytes comes out as it went in, text or binary', async (length) => {
    const body = Buffer.alloc(length, 'x')
    for (const isBinary of [false, true]) {
      const received = await receive(frameWebSocketMessage(body, isBinary))
      expect(received.isBinary).toBe(isBinary)
      expect(received.data.equals(body)).toBe(true)
    }
  })

  test.each([
    [0, '8100'],
    [125, '817d'],
    [126, '817e007e'],
    [65_535, '817effff'],
    [65_536, '817f0000000000010000'],
  ])('of %i bytes has the shortest header', (length, header) => {
    const frame = frameWebSocketMessage(Buffer.alloc(length), false)
    expect(frame.subarray(0, header.length / 2).toString('hex')).toBe(header)
    expect(frame.length).toBe(header.length / 2 + length)
  })
})

describe('an outgoing message', () => {
  test('is framed once for everybody', () => {
    const message = new OutgoingMessage(Buffer.from('a'), false, false)
    expect(message.framedBy(frameWebSocketMessage)).toBe(message.framedBy(frameWebSocketMessage))
    expect(message.ownBody).toBe(message.ownBody)
  })

  test('is framed once for each of two protocols, in whichever order they come', () => {
    const other = () => Buffer.from('another frame')
    const message = new OutgoingMessage(Buffer.from('a'), false, false)
    const frames = [frameWebSocketMessage, other].map((framing) => message.framedBy(framing))
    expect(frames[1]?.toString()).toBe('another frame')
    for (const [at, framing] of [frameWebSocketMessage, other, frameWebSocketMessage].entries()) {
      expect(message.framedBy(framing)).toBe(frames[at % 2])
    }
  })

  test('that is raw is sent as it is', () => {
    expect(new OutgoingMessage(Buffer.from('as it is'), false, true).framedBy(frameWebSocketMessage).toString()).toBe(
      'as it is',
    )
  })

  test.each([false, true])('outlives the chunk that it came in (raw: %s)', (isRaw) => {
    const chunk = Buffer.from('message')
    const message = new OutgoingMessage(chunk.subarray(0), false, isRaw)
    const { ownBody } = message
    const frame = message.framedBy(frameWebSocketMessage)
    chunk.fill(0)
    expect(frame.toString()).toContain('message')
    expect(ownBody.toString()).toBe('message')
  })
})
