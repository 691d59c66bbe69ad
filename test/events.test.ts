import { describe, expect, it } from 'vitest'
import { startCluster, useCluster } from './cluster.ts'
import type { TestClient } from './test-client.ts'

describe('an Events file may have', () => {
  it.each([
    ['named exports', 'named-exports.ts', 'named'],
    ['a default object', 'default-object.ts', 'object'],
    ['a default class with static methods', 'static-class.ts', 'class'],
    ['the exports of CommonJS', 'common-js.cjs', 'CommonJS'],
  ])('%s', async (_shape, file, answer) => {
    const cluster = await startCluster({ events: `shapes/${file}` })
    const client = await cluster.open()
    client.send('hello')
    expect(await client.next()).toBe(`${answer}: hello`)
  })
})

describe('Events', () => {
  const cluster = useCluster({ events: 'every-event.ts', gateways: 2 })

  /** The id of a client, as a handler sees it. */
  async function idOf(client: TestClient): Promise<string> {
    client.send('context')
    return (await client.nextJson()).clientId
  }

  /** A client that is told of everybody who leaves. */
  async function openWatcher(): Promise<TestClient> {
    const watcher = await cluster.open()
    watcher.send('watch')
    expect(await watcher.next()).toBe('watching')
    return watcher
  }

  it('are handled one after the other for one client, and concurrently for different ones', async () => {
    const [ann, ben] = [await cluster.open(0), await cluster.open(1)]
    ann.send('hold first')
    ann.send('hold second')
    ann.send('echo third')
    expect(await ann.next()).toBe('first begins')
    ben.send('echo meanwhile')
    expect(await ben.next()).toBe('meanwhile')
    ben.send('open first')
    expect(await ann.take(2)).toEqual(['first ends', 'second begins'])
    ben.send('open second')
    expect(await ann.take(2)).toEqual(['second ends', 'third'])
  })

  it('begin with onConnect and onWebSocketConnect, each settled before the next', async () => {
    const client = await cluster.open()
    client.send('session')
    expect(await client.nextJson()).toEqual({ events: ['onConnect', 'onWebSocketConnect'] })
  })

  it('end with one onClose, which has the last session', async () => {
    const watcher = await openWatcher()
    const [ann, ben] = [await cluster.open(0), await cluster.open(1)]
    const ids = [await idOf(ann), await idOf(ben)]
    ann.send('replace gone')
    await ann.close()
    expect(await watcher.nextJson()).toEqual({ closed: ids[0], session: { word: 'gone' } })
    ben.socket.terminate()
    // Were there a second onClose of Ann, it would come before.
    expect(await watcher.nextJson()).toMatchObject({ closed: ids[1] })
    watcher.send('echo last')
    expect(await watcher.next()).toBe('last')
  })

  it('get text as a string and binary messages as a Buffer, of any length', async () => {
    const client = await cluster.open()
    for (const length of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
      const bytes = Buffer.alloc(length, 0xe9)
      client.send(bytes)
      expect(bytes.equals((await client.next()) as Buffer)).toBe(true)
    }
    client.send('echo žluťoučký🐎')
    expect(await client.next()).toBe('žluťoučký🐎')
  })

  it('know where a client is and comes from', async () => {
    const client = await cluster.open(1)
    const gatewayPort = Number(new URL(cluster.url(1)).port)
    client.send('context')
    expect(await client.nextJson()).toEqual({
      clientId: expect.stringMatching(/^7f000001[0-9a-f]{12}$/),
      gatewayAddress: '127.0.0.1',
      gatewayPort,
      remoteAddress: '127.0.0.1',
      remotePort: client.localPort,
    })
  })

  it('get the query, headers and cookies of the handshake', async () => {
    const headers = { cookie: 'token=a%20b; theme=dark', 'x-who': 'me', 'user-agent': 'test' }
    const client = await cluster.open(0, '/chat?show=request&room=a+b', { headers })
    expect(await client.nextJson()).toMatchObject({
      cookie: { token: 'a b', theme: 'dark' },
      get: { show: 'request', room: 'a b' },
      headers: { 'user-agent': 'test', 'x-who': 'me', upgrade: 'websocket' },
      server: { REQUEST_URI: '/chat?show=request&room=a+b', REMOTE_ADDR: '127.0.0.1', HTTP_X_WHO: 'me' },
    })
  })

  it('refuse a client by throwing in onWebSocketConnect', async () => {
    const client = await cluster.open(0, '/?refuse=by+throwing')
    client.send('echo never')
    expect(await client.isClosed()).toEqual({ code: 1008, reason: 'refused' })
    expect(client.waiting).toBe(0)
    await cluster.workers.line({ msg: 'a handler threw', event: 'onWebSocketConnect' })
  })

  it('refuse a client by closing it in onWebSocketConnect, and handle nothing that it says', async () => {
    const client = await cluster.open(0, '/?refuse=by+closing')
    client.send('echo never')
    expect(await client.next()).toBe('not you')
    expect(await client.isClosed()).toEqual({ code: 1000, reason: '' })
    expect(client.waiting).toBe(0)
  })

  it.each([
    ['throws', 'throw', 'thrown on purpose'],
    ['rejects', 'reject', 'rejected on purpose'],
  ])(
    'may fail: a handler that %s is logged with its event, client and line, and the worker lives',
    async (...given) => {
      const [, act, message] = given
      const client = await cluster.open()
      const clientId = await idOf(client)
      const logged = cluster.workers.next({ msg: 'a handler threw', event: 'onMessage', clientId })
      client.send(act)
      client.send('echo on')
      expect(await client.next()).toBe('on')
      const { err } = (await logged) as unknown as { err: { message: string; stack: string } }
      expect(err.message).toBe(message)
      expect(err.stack).toMatch(/every-event\.ts:\d+:\d+/)
    },
  )

  it('may let go of a promise that rejects: it is logged, and the worker lives', async () => {
    const client = await cluster.open()
    const logged = cluster.workers.next({ msg: 'a promise that nobody waited for was rejected' })
    client.send('forget')
    expect((await logged).err).toMatchObject({ message: 'forgotten on purpose' })
    client.send('starts')
    expect(await client.nextJson()).toEqual([0])
  })

  it('read in the session what the event before wrote, awaited or not', async () => {
    const client = await cluster.open()
    for (let round = 0; round < 100; round++) client.send('count')
    client.send('session')
    expect(await client.nextJson()).toMatchObject({ count: 100 })
  })

  it('read in the session what a backend wrote, and the other way round', async () => {
    const client = await cluster.open(1)
    const clientId = await idOf(client)
    const backend = cluster.backend()
    await backend.updateSession(clientId, { count: 41, from: { backend: true } })
    expect(await backend.getSession(clientId)).toMatchObject({ count: 41 })
    client.send('count')
    client.send('session')
    expect(await client.nextJson()).toMatchObject({ count: 42, from: { backend: true } })
    client.send('replace all')
    client.send('echo done')
    await client.next()
    expect(await backend.getSession(clientId)).toEqual({ word: 'all' })
  })

  it('may set timers', async () => {
    const client = await cluster.open()
    client.send('tick')
    expect(await client.take(4)).toEqual(['tick 1', 'tick 2', 'tick 3', 'tock'])
  })

  it('run onWorkerStop when the worker stops, which can still push', async () => {
    const own = await startCluster({ events: 'every-event.ts', workerArgs: ['--name', 'Desk'], workers: 2 })
    const client = await own.open()
    client.send('echo there')
    expect(await client.next()).toBe('there')
    expect(await own.workers.stop()).toEqual({ code: 0, signal: null })
    expect((await client.take(2)).sort()).toEqual(['Desk #0 stops', 'Desk #1 stops'])
  })
})
