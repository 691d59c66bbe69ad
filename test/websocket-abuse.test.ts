// What a client can do to a gateway beside the cases of websocket-conformance.test.ts.
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { useCluster } from './cluster.ts'
import { RawConnection } from './raw-connection.ts'
import { handshakeRequest, RawWebSocket } from './raw-web-socket.ts'
import type { TestClient } from './test-client.ts'
import { encodeClose, encodeFrame, type FrameParts, Opcode } from './websocket-frame.ts'

const cluster = useCluster({ events: 'every-event.ts', gatewayArgs: ['--max-payload', '1000'] })
const port = () => new URL(cluster.url()).port

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

describe('a client that breaks the protocol is closed with the right code, and is missed once', () => {
  const text = (payload: string) => ({ opcode: Opcode.TEXT, payload })

  it.each<[string, number, ...FrameParts[]]>([
    ['an unmasked frame', 1002, { ...text('x'), masked: false }],
    ['a message that is too long', 1009, text('x'.repeat(1001))],
    [
      'fragments that are too long together',
      1009,
      { ...text('x'.repeat(600)), fin: false },
      { opcode: Opcode.CONTINUATION, payload: 'x'.repeat(401) },
    ],
    [
      'too many fragments',
      1008,
      { ...text(''), fin: false },
      ...Array<FrameParts>(16_384).fill({ opcode: Opcode.CONTINUATION, fin: false }),
    ],
    ['a declared length of 4 GiB', 1009, { opcode: Opcode.BINARY, declared: Buffer.of(127, 0, 0, 0, 1, 0, 0, 0, 0) }],
    [
      'a declared length beyond all numbers',
      1009,
      { opcode: Opcode.BINARY, declared: Buffer.of(127, 0x7f, 255, 255, 255, 255, 255, 255, 255) },
    ],
  ])('%s: %i', async (_what, code, ...frames) => {
    const client = await RawWebSocket.open(port())
    await client.send(frames)
    expect(await client.next()).toEqual({ fin: true, opcode: Opcode.CLOSE, payload: encodeClose(code), rsv: 0 })
    // The other side ends it when it has our close frame, as RFC 6455 section 7.1.1 wants it.
    await client.send([{ opcode: Opcode.CLOSE, payload: encodeClose(code) }])
    expect(await client.rest()).toEqual([])
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

  it('a client that vanishes within a frame', async () => {
    const client = await RawWebSocket.open(port())
    client.socket.end(encodeFrame(text('echo never')).subarray(0, 8))
    await client.rest()
    expect(await bystander.nextJson()).toMatchObject({ closed: expect.any(String) })
  })
})

describe('who does not shake hands is no client', () => {
  it.each([
    ['a plain HTTP request', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 426],
    ['a POST', 'POST /?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc', 400],
    ['no key', handshakeRequest({ 'Sec-WebSocket-Key': '' }), 400],
    ['a key that is none', handshakeRequest({ 'Sec-WebSocket-Key': 'short' }), 400],
    ['a version that is unknown', handshakeRequest({ 'Sec-WebSocket-Version': '99' }), 426],
    ['another protocol to upgrade to', handshakeRequest({ Upgrade: 'h2c' }), 426],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n', 400],
    ['headers without end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}`, 431],
  ])('%s is answered with a status', async (_what, request, status) => {
    const connection = await RawConnection.open(port())
    connection.write(request)
    expect(String(await connection.isEnded())).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  })

  it('half a handshake, and nothing more, is forgotten', async () => {
    const connection = await RawConnection.open(port())
    connection.write(handshakeRequest().slice(0, 40))
    connection.socket.destroy()
    await connection.isEnded()
  })

  it('none of them was ever counted', async () => {
    expect(await cluster.backend().getAllClientIdCount()).toBe(1)
    expect(bystander.waiting).toBe(0)
  })
})
