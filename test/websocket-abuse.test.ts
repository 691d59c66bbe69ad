import { randomBytes } from 'node:crypto'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { useCluster } from './cluster.ts'
import { RawConnection } from './raw-connection.ts'
import type { TestClient } from './test-client.ts'

const cluster = useCluster({ events: 'every-event.ts', gatewayArgs: ['--max-payload', '1000'] })
const port = () => new URL(cluster.url()).port

const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** Somebody who has nothing to do with it, and is told of everybody who leaves. */
let bystander: TestClient

beforeAll(async () => {
  bystander = await cluster.open()
  bystander.send('watch')
  expect(await bystander.next()).toBe('watching')
})

afterEach(async () => {
  bystander.send('echo undisturbed')
  expect(await bystander.next()).toBe('undisturbed')
  expect(cluster.gateways[0]!.lines.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([])
})

interface FrameParts {
  /** Where the frame is to lie about its length: the length's own bytes. */
  declared?: Buffer
  fin?: boolean
  masked?: boolean
  opcode: number
  payload?: Buffer | string
  rsv?: number
}

/** A WebSocket frame of a client (RFC 6455 section 5.2), as wrong as is asked for. */
function frame({ declared, fin = true, masked = true, opcode, payload = '', rsv = 0 }: FrameParts): Buffer {
  const body = Buffer.from(payload)
  const length =
    declared ?? (body.length < 126 ? Buffer.of(body.length) : Buffer.of(126, body.length >> 8, body.length))
  const header = Buffer.concat([Buffer.of((fin ? 0x80 : 0) | (rsv << 4) | opcode), length])
  if (!masked) return Buffer.concat([header, body])
  header[1]! |= 0x80
  const mask = randomBytes(4)
  return Buffer.concat([header, mask, body.map((byte, index) => byte ^ mask[index % 4]!)])
}

function handshake(headers: Record<string, string> = {}): string {
  const all = {
    Host: '127.0.0.1',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return ['GET / HTTP/1.1', ...lines, '', ''].join('\r\n')
}

/** A client whose handshake is done, and who writes its frames itself. */
async function shakeHands(): Promise<{ connection: RawConnection; handshakeBytes: number }> {
  const connection = await RawConnection.open(port())
  connection.write(handshake())
  const response = await connection.until((received) => received.includes('\r\n\r\n'))
  expect(String(response)).toMatch(/^HTTP\/1\.1 101 [\s\S]*Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/)
  return { connection, handshakeBytes: response.length }
}

/** The code of the close frame that is the last thing in what a server has sent. */
function closeCodeOf(bytes: Buffer): number {
  expect([...bytes.subarray(-4, -2)]).toEqual([0x88, 2])
  return bytes.readUInt16BE(bytes.length - 2)
}

describe('a client that breaks the protocol is closed with the right code, and is missed once', () => {
  const text = (payload: string) => ({ opcode: Opcode.text, payload })

  it.each<[string, number, ...FrameParts[]]>([
    ['an unmasked frame', 1002, { ...text('x'), masked: false }],
    ['a reserved opcode', 1002, { opcode: 3 }],
    ['a reserved bit', 1002, { ...text('x'), rsv: 4 }],
    ['a fragmented ping', 1002, { opcode: Opcode.ping, fin: false, payload: 'x' }],
    ['a fragmented close', 1002, { opcode: Opcode.close, fin: false }],
    ['a ping of more than 125 bytes', 1002, { opcode: Opcode.ping, payload: 'x'.repeat(126) }],
    ['a continuation of nothing', 1002, { opcode: Opcode.continuation, payload: 'x' }],
    ['a message within a message', 1002, { ...text('x'), fin: false }, text('y')],
    ['a close with half a code', 1002, { opcode: Opcode.close, payload: 'x' }],
    ['a close with a code that nobody may send', 1002, { opcode: Opcode.close, payload: Buffer.of(0x03, 0xed) }],
    ['text that is no UTF-8', 1007, { opcode: Opcode.text, payload: Buffer.of(0xc3, 0x28) }],
    ['text that ends within a character', 1007, { opcode: Opcode.text, payload: Buffer.of(0xe2, 0x82) }],
    ['a reason that is no UTF-8', 1007, { opcode: Opcode.close, payload: Buffer.of(0x03, 0xe8, 0xff) }],
    ['a message that is too long', 1009, text('x'.repeat(1001))],
    [
      'fragments that are too long together',
      1009,
      { ...text('x'.repeat(600)), fin: false },
      { opcode: Opcode.continuation, payload: 'x'.repeat(401) },
    ],
    ['a declared length of 4 GiB', 1009, { opcode: Opcode.binary, declared: Buffer.of(127, 0, 0, 0, 1, 0, 0, 0, 0) }],
    [
      'a declared length beyond all numbers',
      1009,
      { opcode: Opcode.binary, declared: Buffer.of(127, 0x7f, 255, 255, 255, 255, 255, 255, 255) },
    ],
  ])('%s: %i', async (_what, code, ...frames) => {
    const { connection } = await shakeHands()
    connection.write(Buffer.concat(frames.map(frame)))
    // The other side ends it when it has our close frame, as RFC 6455 section 7.1.1 wants it.
    const closeFrame = await connection.until((received) => received.at(-4) === 0x88)
    connection.write(frame({ opcode: Opcode.close, payload: closeFrame.subarray(-2) }))
    expect(closeCodeOf(await connection.isEnded())).toBe(code)
    expect(await bystander.nextJson()).toMatchObject({ closed: expect.any(String) })
  })

  it('a message of exactly the longest length is taken', async () => {
    const client = await cluster.open()
    const message = Buffer.alloc(1000, 1)
    client.send(message)
    expect(await client.next()).toEqual(message)
    await client.close()
    await bystander.nextJson()
  })

  it('control frames within a fragmented message, and frames byte by byte, are fine', async () => {
    const { connection, handshakeBytes } = await shakeHands()
    const bytes = Buffer.concat([
      frame({ opcode: Opcode.text, fin: false, payload: 'echo in-' }),
      frame({ opcode: Opcode.ping, payload: 'hi' }),
      frame({ opcode: Opcode.continuation, payload: 'pieces' }),
    ])
    for (const byte of bytes) connection.write(Buffer.of(byte))
    const answer = Buffer.concat([Buffer.of(0x8a, 2), Buffer.from('hi'), Buffer.of(0x81, 9), Buffer.from('in-pieces')])
    const received = await connection.until((all) => all.length >= handshakeBytes + answer.length)
    expect(received.subarray(handshakeBytes)).toEqual(answer)
    connection.socket.destroy()
    await bystander.nextJson()
  })

  it('a client that vanishes within a frame', async () => {
    const { connection } = await shakeHands()
    connection.write(frame({ opcode: Opcode.text, payload: 'echo never' }).subarray(0, 8))
    connection.socket.end()
    await connection.isEnded()
    expect(await bystander.nextJson()).toMatchObject({ closed: expect.any(String) })
  })
})

describe('who does not shake hands is no client', () => {
  it.each([
    ['a plain HTTP request', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 426],
    ['a POST', 'POST /?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc', 426],
    ['no key', handshake({ 'Sec-WebSocket-Key': '' }), 400],
    ['a key that is none', handshake({ 'Sec-WebSocket-Key': 'short' }), 400],
    ['a version that is unknown', handshake({ 'Sec-WebSocket-Version': '99' }), 400],
    ['another protocol to upgrade to', handshake({ Upgrade: 'h2c' }), 400],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n', 400],
    ['headers without end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}`, 431],
  ])('%s is answered with a status', async (_what, request, status) => {
    const connection = await RawConnection.open(port())
    connection.write(request)
    expect(String(await connection.isEnded())).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  })

  it('half a handshake, and nothing more, is forgotten', async () => {
    const connection = await RawConnection.open(port())
    connection.write(handshake().slice(0, 40))
    connection.socket.destroy()
    await connection.isEnded()
  })

  it('none of them was ever counted', async () => {
    expect(await cluster.backend().getAllClientIdCount()).toBe(1)
    expect(bystander.waiting).toBe(0)
  })
})
