import { once } from 'node:events'
import { Command, Flag, msgpack } from '@gatewayworker/protocol'
import { describe, expect, test, vi } from 'vitest'
import type { Handshake } from '../src/handshake.ts'
import type { GatewayServerOptions } from '../src/index.ts'
import { listen, requestEvents } from './support/event-client.ts'
import { connectSocket, linkPeer, linkWorker } from './support/raw-peer.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'
import { told } from './support/told.ts'

const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=='

function requestWith(headers: string): string {
  return `GET / HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\n`
}

/** A gateway with a worker, a backend and a client that listens. */
async function startScene(options: Partial<GatewayServerOptions> = {}) {
  const gateway = await startGateway({ sse: true, ...options })
  const worker = await linkWorker(gateway, 'worker:0', { acknowledges: true })
  const backend = await linkPeer(gateway)
  const client = await listen(gateway, '/path?room=1', { headers: { cookie: 'a=b' } })
  const clientId = await client.clientId
  const { connectionId } = await worker.next(Command.ON_CONNECT)
  const { body } = await worker.next(Command.ON_WEBSOCKET_CONNECT)
  const push = (message: string | Buffer, flag: number = Flag.SCALAR) =>
    backend.link.send(Command.SEND_TO_ONE, connectionId, flag, '', message)
  return {
    backend,
    client,
    clientId,
    gateway,
    handshake: msgpack.decode(body) as Handshake,
    id: connectionId,
    push,
    worker,
  }
}

test('a client that listens is told its id first, and Events its handshake', async () => {
  const { client, clientId, gateway, handshake, id, worker } = await startScene()
  expect(clientId).toBe(worker.clientId(id))
  expect(handshake).toMatchObject({ cookie: { a: 'b' }, get: { room: '1' }, server: { REQUEST_URI: '/path?room=1' } })
  expect(client.retryMs).toBeGreaterThanOrEqual(2_000)
  expect(gateway.clientCount).toBe(1)
  expect(client.response.headers).toMatchObject({
    'cache-control': 'no-cache, no-transform',
    'content-type': 'text/event-stream; charset=utf-8',
  })
})

test.each([
  '',
  'text',
  ' begins with a space',
  '张\u0000三',
  'two\nlines\n',
  '\n',
  '{"a":"b\\nc"}',
  'data: a',
  ':',
  'x'.repeat(100_000),
])('text arrives as it is: %j', async (text) => {
  const { client, push } = await startScene()
  push(text)
  push('end')
  expect(await client.events.take(2)).toEqual([
    { data: text, type: 'message' },
    { data: 'end', type: 'message' },
  ])
})

test('each kind of line break arrives as \\n', async () => {
  const { client, push } = await startScene()
  push('a\r\nb\rc\nd\n\re')
  expect((await client.events.next()).data).toBe('a\nb\nc\nd\n\ne')
})

test('a binary message is an event of its own, in base64', async () => {
  const { client, push } = await startScene()
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at))
  push(bytes, Flag.SCALAR | Flag.BINARY)
  const { data, type } = await client.events.next()
  expect([type, Buffer.from(data, 'base64')]).toEqual(['binary', bytes])
})

test('a raw message is sent as it is', async () => {
  const { client, push } = await startScene()
  push('event: news\nid: 5\ndata: a\n\n', Flag.SCALAR | Flag.RAW)
  expect(await client.events.next()).toEqual({ data: 'a', type: 'news' })
})

test('a broadcast reaches those who listen and those with a WebSocket, in order', async () => {
  const { backend, client, gateway, worker } = await startScene()
  const others = [await connectClient(gateway), await connectClient(gateway)]
  const listeners = [client, await listen(gateway)]
  await listeners[1]!.clientId
  await told(worker, 9)
  for (const message of ['a', 'b', 'c']) backend.link.send(Command.SEND_TO_ALL, 0, Flag.SCALAR, '', message)
  for (const { messages } of others) expect(await messages.take(3)).toEqual(['a', 'b', 'c'])
  for (const { events } of listeners) expect((await events.take(3)).map(({ data }) => data)).toEqual(['a', 'b', 'c'])
})

describe('a client that listens is gone', () => {
  test('when it breaks off', async () => {
    const { client, gateway, worker } = await startScene()
    client.response.destroy()
    expect(await told(worker, 1)).toEqual(['close client'])
    expect(gateway.clientCount).toBe(0)
  })

  test('when it ends its side', async () => {
    const { client, worker } = await startScene()
    client.response.socket.end()
    expect(await told(worker, 1)).toEqual(['close client'])
    await client.ended
  })

  test('when it is closed, after its last words, and is told why', async () => {
    const { backend, client, id, worker } = await startScene()
    await backend.ask(Command.KICK, '', id, 'last words')
    expect(await client.events.take(2)).toEqual([
      { data: 'last words', type: 'message' },
      { data: '{"code":1000,"reason":""}', type: 'close' },
    ])
    await client.ended
    expect(await told(worker, 1)).toEqual(['close kicked'])
  })

  test('when it is refused', async () => {
    const { client, id, worker } = await startScene()
    await worker.ask(Command.REFUSE_CLIENT, '', id)
    expect(await client.events.next()).toEqual({ data: '{"code":1008,"reason":"refused"}', type: 'close' })
    await client.ended
  })

  test('when the gateway stops', async () => {
    const { client, gateway } = await startScene()
    const stopped = gateway.stop()
    expect(await client.events.next()).toEqual({ data: '{"code":1001,"reason":"gateway stops"}', type: 'close' })
    await client.ended
    await stopped
  })

  test('when too much waits for it', async () => {
    const { backend, client, gateway, push, worker } = await startScene({ sendToClientBufferSizeBytes: 100_000 })
    client.response.pause()
    while (gateway.stats().slowClients === 0) {
      for (let count = 0; count < 20; count += 1) push('x'.repeat(64 * 1024))
      await backend.settled()
    }
    expect(await told(worker, 1)).toEqual(['close slow'])
  })

  test.each([
    ['another stream', 'Accept: text/event-stream'],
    ['a page', 'Accept: text/html'],
    ['a WebSocket', UPGRADE],
  ])('when it asks for %s on the same connection', async (_what, headers) => {
    const { gateway, worker } = await startScene()
    const socket = await connectSocket(gateway.address.port)
    const closed = once(socket, 'close')
    socket.write(requestWith('Accept: text/event-stream'))
    await once(socket, 'data')
    socket.write(requestWith(headers))
    await closed
    expect(await told(worker, 4)).toEqual(['context 0', 'connect', 'handshake', 'close protocol_error'])
    expect(gateway.clientCount).toBe(1)
  })

  test('before it is one if it asks for more in the same breath', async () => {
    const { gateway } = await startScene()
    for (const headers of ['Accept: text/event-stream', 'Accept: text/html', UPGRADE]) {
      const socket = await connectSocket(gateway.address.port)
      const closed = once(socket.resume(), 'close')
      socket.write(requestWith('Accept: text/event-stream') + requestWith(headers))
      await closed
    }
    expect(gateway.clientCount).toBe(1)
  })
})

test('a client that can say nothing is pinged, and not destroyed for its silence', async () => {
  const { client, worker } = await startScene({ pingData: 'ping', pingIntervalS: 0.02, pingNotResponseLimit: 1 })
  expect((await client.events.take(5)).map(({ data }) => data)).toEqual(Array(5).fill('ping'))
  expect(worker.frames.size).toBe(0)
})

test('an idle stream has a comment now and then', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  try {
    const { client } = await startScene()
    vi.advanceTimersByTime(15_000)
    await once(client.response, 'data')
    expect(client.text.endsWith('\n\n:\n\n')).toBe(true)
    expect(client.events.size).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})

describe('nobody listens', () => {
  test('unless the gateway lets them', async () => {
    const gateway = await startGateway()
    expect((await requestEvents(gateway)).statusCode).toBe(426)
  })

  test.each([
    ['with another method', { method: 'POST' }],
    ['who does not accept events', { headers: { accept: 'text/html' } }],
  ])('%s', async (_what, options) => {
    const gateway = await startGateway({ sse: true })
    expect((await requestEvents(gateway, '/', options)).statusCode).toBe(426)
    expect(gateway.clientCount).toBe(0)
  })
})

describe('a page of another origin may read the stream', () => {
  async function corsOf(options: Partial<GatewayServerOptions>, origin: string) {
    const gateway = await startGateway({ sse: true, ...options })
    const { headers, statusCode } = await requestEvents(gateway, '/', { headers: { origin } })
    return [statusCode, headers['access-control-allow-origin'], headers['access-control-allow-credentials']]
  }

  test('without cookies', async () => {
    expect(await corsOf({}, 'https://example.com')).toEqual([200, '*', undefined])
  })

  test('with them if it is listed', async () => {
    const listed = { allowOrigins: ['https://example.com'] }
    expect(await corsOf(listed, 'https://example.com')).toEqual([200, 'https://example.com', 'true'])
    expect(await corsOf(listed, 'https://example.org')).toEqual([403, undefined, undefined])
  })
})
