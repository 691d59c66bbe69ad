import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { Command, msgpack } from '@gatewayworker/protocol'
import { describe, expect, test, vi } from 'vitest'
import type { GatewayServer, GatewayServerOptions } from '../src/index.ts'
import { makeCertificate } from './support/certificate.ts'
import { connectSocket, linkWorker, type RawPeer } from './support/raw-peer.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient, refusalOf } from './support/test-client.ts'

const BEHIND_PROXY = { trustedProxies: ['loopback'] }
const UPGRADE =
  'GET /?a=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'

async function startAll(options: Partial<GatewayServerOptions>): Promise<{ gateway: GatewayServer; worker: RawPeer }> {
  const gateway = await startGateway(options)
  return { gateway, worker: await linkWorker(gateway) }
}

/** Where a worker is told that the next client is. */
async function nextAddress(worker: RawPeer): Promise<string> {
  const { body } = await worker.next(Command.CLIENT_CONTEXT)
  const { remoteAddress, remotePort } = msgpack.decode(body) as Record<string, unknown>
  return `${remoteAddress} ${remotePort}`
}

/** The same, by its context and by its handshake. */
async function nextOrigin(worker: RawPeer): Promise<string> {
  const address = await nextAddress(worker)
  const { body } = await worker.next(Command.ON_WEBSOCKET_CONNECT)
  const { server } = msgpack.decode(body) as { server: Record<string, unknown> }
  expect(`${server.REMOTE_ADDR} ${server.REMOTE_PORT}`).toBe(address)
  return address
}

describe('a header of a trusted proxy', () => {
  test.each<[string, Partial<GatewayServerOptions>, Record<string, string>, string]>([
    ['X-Forwarded-For', BEHIND_PROXY, { 'x-forwarded-for': '203.0.113.9, 192.0.2.1' }, '192.0.2.1 0'],
    [
      'Forwarded',
      { ...BEHIND_PROXY, forwardingHeader: 'forwarded' },
      { forwarded: 'for="[2001:db8::7]:47"' },
      '2001:db8::7 47',
    ],
  ])('%s says where the client is', async (_name, options, headers, origin) => {
    const { gateway, worker } = await startAll(options)
    await connectClient(gateway, '/', { headers })
    expect(await nextOrigin(worker)).toBe(origin)
    expect(gateway.connections({ limit: 1, offset: 0 }).rows).toMatchObject([
      { address: expect.stringContaining(origin.split(' ')[0]!) },
    ])
  })

  test('is not read of anybody else', async () => {
    const { gateway, worker } = await startAll({})
    await connectClient(gateway, '/', { headers: { 'x-forwarded-for': '192.0.2.1', forwarded: 'for=192.0.2.1' } })
    expect(await nextOrigin(worker)).toMatch(/^127\.0\.0\.1 [1-9]/)
  })

  test('says for whom a connection counts, and the proxy itself has no limit', async () => {
    const { gateway, worker } = await startAll({ ...BEHIND_PROXY, exemptAddresses: [], maxConnectionsPerAddress: 1 })
    const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
    const first = await connectClient(gateway, '/', from('192.0.2.1'))
    await connectClient(gateway, '/', from('192.0.2.2'))
    expect(await refusalOf(gateway, '/', from('192.0.2.1'))).toMatchObject({ status: 429 })
    first.close()
    await worker.next(Command.ON_CLOSE)
    await connectClient(gateway, '/', from('192.0.2.1'))
  })
})

describe('a PROXY header', () => {
  const V1 = Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n')
  const V2 = Buffer.from('0d0a0d0a000d0a515549540a2111000cc0000201c6336401dc0401bb', 'hex')
  const LOCAL = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')
  const PROXY_PROTOCOL = { ...BEHIND_PROXY, proxyProtocol: true }
  const request = Buffer.from(`${UPGRADE}\r\n`)

  async function say(gateway: GatewayServer, ...pieces: Buffer[]): Promise<string> {
    const socket = await connectSocket(gateway.address.port)
    const answered = once(socket, 'data')
    for (const piece of pieces) {
      socket.write(piece)
      await new Promise(setImmediate)
    }
    return String((await answered)[0]).split('\r\n', 1)[0]!
  }

  test.each([
    ['version 1', V1],
    ['version 2', V2],
  ])('of %s says where the client is, in one piece with the request and in many', async (_version, header) => {
    const { gateway, worker } = await startAll(PROXY_PROTOCOL)
    const whole = Buffer.concat([header, request])
    const bytes = Array.from({ length: header.length + 5 }, (_, at) => whole.subarray(at, at + 1))
    for (const pieces of [[whole], [header, request], [...bytes, whole.subarray(bytes.length)]]) {
      expect(await say(gateway, ...pieces)).toBe('HTTP/1.1 101 Switching Protocols')
      expect(await nextOrigin(worker)).toBe('192.0.2.1 56324')
    }
  })

  test('goes before X-Forwarded-For, and a proxy that means itself is where it is', async () => {
    const { gateway, worker } = await startAll({ ...PROXY_PROTOCOL, trustedProxies: ['loopback', '192.0.2.1'] })
    await say(gateway, V2, Buffer.from(`${UPGRADE}X-Forwarded-For: 203.0.113.9\r\n\r\n`))
    expect(await nextOrigin(worker)).toBe('203.0.113.9 0')
    await say(gateway, LOCAL, request)
    expect(await nextOrigin(worker)).toMatch(/^127\.0\.0\.1 [1-9]/)
  })

  test('a connection that has none, or too long waits for its end, is ended and counted', async () => {
    const { gateway, worker } = await startAll({ ...PROXY_PROTOCOL, handshakeTimeoutMs: 500 })
    const without = await connectSocket(gateway.address.port)
    without.write(request)
    const half = await connectSocket(gateway.address.port)
    half.write(V1.subarray(0, 20))
    await Promise.all([once(without, 'close'), once(half, 'close')])
    expect(gateway.stats().refused).toMatchObject({ handshakeTimeout: 1, proxyHeader: 1 })
    expect(worker.frames.size).toBe(0)
  })

  test('of anybody else is no header', async () => {
    const { gateway } = await startAll({ proxyProtocol: true, trustedProxies: ['192.0.2.1'] })
    expect(await say(gateway, V1, request)).toBe('HTTP/1.1 400 Bad Request')
    await connectClient(gateway)
  })

  test('counts for the address in it', async () => {
    const { gateway } = await startAll({ ...PROXY_PROTOCOL, exemptAddresses: [], maxConnectionsPerAddress: 1 })
    expect(await say(gateway, V1, request)).toContain('101')
    expect(await say(gateway, V1, request)).toBe('HTTP/1.1 429 Too Many Requests')
  })

  test('stands before the first byte of other protocols, and before TLS', async () => {
    const plain = await startAll({ ...PROXY_PROTOCOL, protocol: 'text' })
    const socket = await connectSocket(plain.gateway.address.port)
    socket.write(Buffer.concat([V1, Buffer.from('hello\n')]))
    expect(await nextAddress(plain.worker)).toBe('192.0.2.1 56324')
    expect(String((await plain.worker.next(Command.ON_MESSAGE)).body)).toBe('hello')

    const secure = await startAll({ ...PROXY_PROTOCOL, protocol: 'text', ssl: makeCertificate() })
    const under = await connectSocket(secure.gateway.address.port)
    under.write(V2)
    const tls = connectTls({ rejectUnauthorized: false, socket: under })
    await once(tls, 'secureConnect')
    tls.write('hello\n')
    expect(await nextAddress(secure.worker)).toBe('192.0.2.1 56324')
    expect(String((await secure.worker.next(Command.ON_MESSAGE)).body)).toBe('hello')
  })

  test('leaves it to the protocol when the client is read', async () => {
    const gateway = await startGateway({ ...PROXY_PROTOCOL, protocol: 'text' })
    const socket = await connectSocket(gateway.address.port)
    socket.write(Buffer.concat([V1, Buffer.from('1\n2\n3\n')]))
    await vi.waitFor(() => expect(gateway.clientCount).toBe(1))
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate)
    expect(gateway.stats()).toMatchObject({ pausedClients: 1, requests: 0 }) // nobody is there who could handle them
    const worker = await linkWorker(gateway)
    for (const message of ['1', '2', '3']) {
      expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe(message)
    }
  })

  test('cannot be asked for without saying of whom', async () => {
    await expect(startGateway({ proxyProtocol: true })).rejects.toThrow('--trusted-proxy')
  })
})
