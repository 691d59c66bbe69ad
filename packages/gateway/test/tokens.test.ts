import { once } from 'node:events'
import { Command, decodeUidHashes, hashUid, msgpack } from '@gatewayworker/protocol'
import { SignJWT } from 'jose'
import { describe, expect, test, vi } from 'vitest'
import WebSocket from 'ws'
import type { GatewayServerOptions, JwtOptions } from '../src/index.ts'
import { listen, requestEvents } from './support/event-client.ts'
import { linkPhpWorker } from './support/php-peer.ts'
import { linkPeer, linkWorker, type RawPeer } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient, refusalOf } from './support/test-client.ts'

const secret = 'a secret of thirty-two bytes ...'

function sign(claims: Record<string, unknown> = {}): Promise<string> {
  return new SignJWT({ sub: 'ann', ...claims }).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(secret))
}

async function startAll(jwt: Partial<JwtOptions> = {}, options: Partial<GatewayServerOptions> = {}) {
  const log = new RecordedLog()
  const gateway = await startGateway({
    jwt: { secret, sources: ['authorization', 'query:token'], ...jwt },
    log,
    ...options,
  })
  return { gateway, log, worker: await linkWorker(gateway) }
}

interface Told {
  claims?: object
  get: object
  server: Record<string, unknown>
}

async function nextHandshake(worker: RawPeer): Promise<Told> {
  return msgpack.decode((await worker.next(Command.ON_WEBSOCKET_CONNECT)).body) as Told
}

test('what a token says is told with the handshake, the token is not', async () => {
  const { gateway, worker } = await startAll({ sources: ['query:token', 'authorization', 'protocol', 'cookie:jwt'] })
  const token = await sign({ role: 'admin' })
  const ways: [string, object?][] = [
    [`/chat?token=${token}&room=1`],
    ['/chat?room=1', { headers: { authorization: `Bearer ${token}` } }],
    ['/chat?room=1', { headers: { cookie: `jwt=${token}` } }],
  ]
  for (const [path, options] of ways) {
    await connectClient(gateway, path, options)
    const told = await nextHandshake(worker)
    expect(told).toMatchObject({ claims: { role: 'admin', sub: 'ann' }, get: { room: '1' } })
    expect(told.server).toMatchObject({ QUERY_STRING: 'room=1', REQUEST_URI: '/chat?room=1' })
    expect(JSON.stringify(told)).not.toContain(token)
  }
})

test('a client is let in when all who push by uid know that its uid is here', async () => {
  const { gateway } = await startAll()
  const watcher = await linkPeer(gateway)
  expect(await watcher.ask(Command.WATCH_UIDS)).toBe(true)
  const order: string[] = []
  const connected = connectClient(gateway, `/?token=${await sign()}`).then(() => order.push('connected'))
  const { body, ext } = await watcher.next(Command.UID_FILTER_ADD)
  expect(decodeUidHashes(ext)).toEqual([hashUid('ann')])
  expect(await watcher.ask(Command.GET_CLIENT_ID_BY_UID, 'ann')).toEqual([])
  order.push('acknowledged')
  watcher.link.send(Command.UID_FILTER_ACK, 0, 0, '', body)
  await connected
  expect(order).toEqual(['acknowledged', 'connected'])
  expect(await watcher.ask(Command.GET_CLIENT_ID_BY_UID, 'ann')).toHaveLength(1)
})

test('a token among the protocols is not agreed upon', async () => {
  const { gateway, worker } = await startAll({ sources: ['protocol'] })
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.address.port}`, ['bearer', await sign()])
  await once(socket, 'open')
  expect(socket.protocol).toBe('bearer')
  expect(await nextHandshake(worker)).toMatchObject({ claims: { sub: 'ann' } })
  socket.terminate()
})

test('a client that listens needs a token, too', async () => {
  const { gateway, worker } = await startAll({}, { sse: true })
  expect((await requestEvents(gateway)).statusCode).toBe(401)
  await listen(gateway, `/?room=1&token=${await sign()}`)
  expect(await nextHandshake(worker)).toMatchObject({ claims: { sub: 'ann' }, server: { REQUEST_URI: '/?room=1' } })
})

test('the uid is bound before any worker hears of the client', async () => {
  const { gateway, worker } = await startAll()
  const backend = await linkPeer(gateway)
  const client = await connectClient(gateway, `/?token=${await sign()}`)
  const { connectionId } = await worker.next(Command.ON_CONNECT)
  expect(await backend.ask(Command.GET_CLIENT_ID_BY_UID, 'ann')).toEqual([connectionId])
  worker.link.send(Command.SEND_TO_UID, 0, 1, '["ann"]', 'welcome')
  expect(await client.messages.next()).toBe('welcome')
})

test.each([
  [17, '17'],
  ['0', undefined],
  [undefined, undefined],
])('of the sub %j the uid is %s', async (sub, uid) => {
  const { gateway, worker } = await startAll()
  await connectClient(gateway, `/?token=${await sign({ sub })}`)
  await worker.nextClient()
  expect(gateway.connections({ limit: 1, offset: 0 }).rows.map((row) => row.uid)).toEqual([uid])
})

test('PHP finds what the token says in server, where no header can put it', async () => {
  const gateway = await startGateway({ jwt: { secret, sources: ['authorization'] } })
  const php = await linkPhpWorker(gateway)
  await connectClient(gateway, '/', {
    headers: { authorization: `Bearer ${await sign({ name: '张' })}`, jwt_claims: 'x' },
  })
  await php.event()
  const { body } = await php.event()
  const claims = Buffer.from(JSON.stringify({ sub: 'ann', name: '张' })).toString('latin1')
  expect(body).toContain(`s:10:"JWT_CLAIMS";s:${claims.length}:"${claims}"`)
})

describe('without a valid token', () => {
  test.each<[string, () => Promise<string>, string]>([
    ['none', async () => '/', 'A valid token is needed: there is none.\n'],
    [
      'an expired one',
      async () => `/?token=${await sign({ exp: 1 })}`,
      'A valid token is needed: the token has expired.\n',
    ],
    ['a broken one', async () => `/?token=${await sign()}x`, 'A valid token is needed: the token is not valid.\n'],
  ])('%s: a client is none', async (_what, path, text) => {
    const { gateway, log, worker } = await startAll()
    const url = await path()
    expect(await refusalOf(gateway, url)).toMatchObject({
      headers: { 'www-authenticate': 'Bearer' },
      status: 401,
      text,
    })
    await worker.settled()
    expect(worker.frames.size).toBe(0)
    expect(gateway.stats()).toMatchObject({ connections: 0, refused: { token: 1 } })
    expect(log.of('refused: a client has no valid token')).toHaveLength(1)
    if (url.includes('=')) expect(JSON.stringify(log.entries)).not.toContain(url.split('=')[1])
  })
})

describe('a token that expires', () => {
  const soon = (ms = 300) => ({ exp: (Date.now() + ms) / 1000 })

  test('closes its client where that is asked for', async () => {
    const { gateway, worker } = await startAll({ clockToleranceS: 0, closeAtExpiry: true })
    const client = await connectClient(gateway, `/?token=${await sign(soon())}`)
    expect(await client.closed).toEqual({ code: 4003, reason: 'token expired' })
    expect(msgpack.decode((await worker.next(Command.ON_CLOSE)).body)).toEqual({ reason: 'token_expired' })
    expect(gateway.stats().expiredClients).toBe(1)
  })

  test('is taken as long as clocks may differ, and closes its client then', async () => {
    const { gateway } = await startAll({ clockToleranceS: 60, closeAtExpiry: true })
    const client = await connectClient(gateway, `/?token=${await sign(soon(-59_500))}`)
    expect((await client.closed).code).toBe(4003)
  })

  test('closes its client, though that is after more days than a timer takes', async () => {
    const DAY_MS = 86_400_000
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    try {
      const { gateway } = await startAll({ closeAtExpiry: true })
      const client = await connectClient(gateway, `/?token=${await sign(soon(60 * DAY_MS))}`)
      vi.advanceTimersByTime(59 * DAY_MS)
      expect(gateway.stats()).toMatchObject({ connections: 1, expiredClients: 0 })
      vi.advanceTimersByTime(DAY_MS + 6_000)
      expect(gateway.stats()).toMatchObject({ connections: 0, expiredClients: 1 })
      expect((await client.closed).code).toBe(4003)
    } finally {
      vi.useRealTimers()
    }
  })

  test('leaves nothing behind of a client that has gone before, nor closes one that expires in years', async () => {
    const { gateway } = await startAll({ clockToleranceS: 0, closeAtExpiry: true })
    const token = await sign(soon(1_500))
    const gone = await connectClient(gateway, `/?token=${token}`)
    const lasting = await connectClient(gateway, `/?token=${await sign({ exp: 4_000_000_000 })}`)
    gone.close()
    await gone.closed
    const closing = await connectClient(gateway, `/?token=${token}`)
    await closing.closed
    expect(gateway.stats()).toMatchObject({ connections: 1, expiredClients: 1 })
    expect(lasting.socket.readyState).toBe(lasting.socket.OPEN)
  })
})
