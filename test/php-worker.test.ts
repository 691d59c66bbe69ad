import { beforeEach, describe, expect, it } from 'vitest'
import type { ClientOptions } from 'ws'
import { describeWithPhp, type PhpCluster, usePhpCluster } from './php.ts'
import type { TestClient } from './test-client.ts'

// What a worker sees alone is also run on a cluster of PHP's processes only: that is what makes the expectations right.
const clusters = {
  "PHP's gateways": { gateways: 0, phpGateways: 2, phpRegister: true, phpWorkers: 1, workers: 0 },
  'our gateways, beside a worker of ours': { gateways: 2, phpWorkers: 1, secretKey: 'the secret of this cluster' },
}

let cluster: PhpCluster

/** The latest process of the PHP worker. */
const phpPid = () => cluster.phpWorkers.at(-1)!.child().pid

/** Clients of a gateway until one of them is served by the PHP worker; resolves with that one, and with what it was greeted with. */
async function greetedByPhp(gateway = 0, path = '', options?: ClientOptions) {
  for (;;) {
    const client = await cluster.open(gateway, path, options)
    const greeting = await client.nextJson()
    client.clientId = greeting.clientId
    if (greeting.workerPid === phpPid()) return { client, greeting }
  }
}

/** A client of the PHP worker. */
async function connectToPhp(gateway = 0): Promise<TestClient> {
  return (await greetedByPhp(gateway)).client
}

/** What php/Events.php answers to one of its acts; what was pushed to the client meanwhile stays in its inbox. */
// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by what it compares
async function act(client: TestClient, order: { do: string; [detail: string]: unknown }): Promise<any> {
  client.send(order)
  const pushed: (string | Buffer)[] = []
  for (;;) {
    const message = await client.next()
    if (String(message).startsWith('{"answer":')) {
      client.putBack(pushed)
      return JSON.parse(String(message)).answer
    }
    pushed.push(message)
  }
}

/** Lets the PHP worker call its Gateway. */
async function call(client: TestClient, method: string, ...args: unknown[]): Promise<unknown> {
  return act(client, { do: 'call', method, arguments: args })
}

/** What code returns in the PHP worker that may change the client's $_SESSION; resolves when the gateway has the session. */
async function evaluate(client: TestClient, code: string): Promise<unknown> {
  const value = await act(client, { do: 'evaluate', code })
  expect(await echo(client, 'this comes after the session')).toBe('this comes after the session')
  return value
}

async function echo(client: TestClient, message: string | Buffer): Promise<string | Buffer> {
  client.send(message)
  return client.next()
}

const portOf = (gateway: number) => Number(new URL(cluster.url(gateway)).port)

describeWithPhp('a PHP worker', () => {
  describe.each(Object.entries(clusters))('at %s', (_name, options) => {
    const used = usePhpCluster(options)
    beforeEach(() => {
      cluster = used
    })

    it('is told of the handshake', async () => {
      const query = 'name=J%C3%BCrgen&n=1&tags[]=a&tags[]=b&at[x.y]=z&a.b='
      const path = `/chat/room?${query}`
      const headers = { cookie: 'a=1; b=x%20y', 'content-type': 'text/plain', 'x-real-ip': '192.0.2.7' }
      const { client, greeting } = await greetedByPhp(0, path, { headers })
      expect(greeting.get).toEqual({ name: 'Jürgen', n: '1', tags: ['a', 'b'], at: { 'x.y': 'z' }, a_b: '' })
      expect(greeting.cookie).toEqual({ a: '1', b: 'x%20y' })
      expect(greeting.server).toMatchObject({
        CONTENT_TYPE: 'text/plain',
        HTTP_COOKIE: headers.cookie,
        HTTP_HOST: `127.0.0.1:${portOf(0)}`,
        HTTP_UPGRADE: 'websocket',
        HTTP_X_REAL_IP: '192.0.2.7',
        QUERY_STRING: query,
        REMOTE_ADDR: '127.0.0.1',
        REMOTE_PORT: client.localPort,
        REQUEST_METHOD: 'GET',
        REQUEST_URI: path,
        SERVER_NAME: '127.0.0.1',
        SERVER_PORT: portOf(0),
        SERVER_PROTOCOL: 'HTTP/1.1',
      })
    })

    it.each([0, 1])('knows in each event where the client of gateway %s comes from', async (gateway) => {
      const client = await connectToPhp(gateway)
      expect(await act(client, { do: 'show' })).toEqual({
        events: ['onConnect', 'onWebSocketConnect', 'onMessage'],
        server: {
          GATEWAY_ADDR: '127.0.0.1',
          GATEWAY_CLIENT_ID: client.clientId,
          GATEWAY_PORT: portOf(gateway),
          REMOTE_ADDR: '127.0.0.1',
          REMOTE_PORT: client.localPort,
        },
        session: [],
        startedAs: 'PhpWorker0',
      })
    })

    it('gets every message, whole and in order, and answers with text', async () => {
      const client = await connectToPhp()
      expect(await echo(client, 'Grüße 😀')).toBe('Grüße 😀')
      expect(await echo(client, '')).toBe('')
      expect(await echo(client, Buffer.from('bytes that are text'))).toBe('bytes that are text')
      expect(await echo(client, Buffer.from([0xff, 0, 0x80]))).toBe('ff0080')
      expect(await echo(client, 'long '.repeat(50_000))).toBe('long '.repeat(50_000))
      const texts = Array.from({ length: 500 }, (_, number) => `message ${number}`)
      for (const text of texts) client.send(text)
      expect(await client.take(texts.length)).toEqual(texts)
    })

    it('keeps $_SESSION from one event to the next', async () => {
      const client = await connectToPhp()
      await evaluate(
        client,
        '$_SESSION = ["n" => 1, "list" => [1, "two"], 5 => 0.5, "o" => (object) ["p" => "\\xff"]];',
      )
      await evaluate(client, '$_SESSION["n"] += 1; $_SESSION["list"][] = null;')
      const [same, n] = (await evaluate(
        client,
        `$expected = ["n" => 2, "list" => [1, "two", null], 5 => 0.5, "o" => (object) ["p" => "\\xff"]];
        return [serialize($_SESSION) === serialize($expected), $_SESSION['n']];`,
      )) as [boolean, number]
      expect([same, n]).toEqual([true, 2])
      await evaluate(client, '$_SESSION = [];')
      expect(await evaluate(client, 'return $_SESSION;')).toEqual([])
    })

    it('reaches clients of every gateway with its Gateway', async () => {
      const ann = await connectToPhp(0)
      const ben = await connectToPhp(1)
      const [a, b] = [ann.clientId, ben.clientId]
      await call(ann, 'bindUid', a, 'Ann')
      await call(ann, 'bindUid', b, 1001)
      for (const clientId of [a, b]) await call(ann, 'joinGroup', clientId, 'both')
      await call(ann, 'joinGroup', b, 123)
      await call(ann, 'setSession', b, { name: 'Ben', list: [1, 2] })
      await call(ann, 'updateSession', b, { list: { 1: 'two' }, more: true })
      await call(ann, 'sendToAll', 'all')
      await call(ann, 'sendToAll', 'not Ann', null, [a])
      await call(ann, 'sendToAll', 'only Ben', [a, b], [a])
      await call(ann, 'sendToClient', b, { json: 'x/y' })
      await call(ann, 'sendToUid', ['Ann', 1001], 'both uids')
      await call(ann, 'sendToGroup', ['both', 123], 'groups', [a])
      expect(await ann.take(2)).toEqual(['all', 'both uids'])
      const texts = ['all', 'not Ann', 'only Ben', '{"json":"x\\/y"}', 'both uids', 'groups', 'groups']
      expect(await ben.take(texts.length)).toEqual(texts)

      expect(await call(ann, 'getSession', b)).toEqual({ name: 'Ben', list: [1, 'two'], more: true })
      expect(await call(ann, 'getAllClientSessions', 123)).toEqual({
        [b]: { name: 'Ben', list: [1, 'two'], more: true },
      })
      expect(await call(ann, 'getUidByClientId', b)).toBe('1001')
      expect(await call(ann, 'getClientIdByUid', 'Ann')).toEqual([a])
      expect(await call(ann, 'getAllUidList')).toEqual({ Ann: 'Ann', 1001: '1001' })
      expect(await call(ann, 'getAllGroupIdList')).toEqual({ both: 'both', 123: 123 })
      expect(await call(ann, 'getAllGroupClientIdCount')).toEqual({ both: 2, 123: 1 })
      expect(await call(ann, 'batchGetClientIdCountByGroup', ['both', 123, 'none'])).toEqual({
        both: 2,
        123: 1,
        none: 0,
      })
      expect(await call(ann, 'isUidOnline', 1001)).toBe(1)
      await call(ann, 'unbindUid', b, '')
      await call(ann, 'leaveGroup', b, 123)
      await call(ann, 'ungroup', 'both')
      expect(await call(ann, 'getAllUidList')).toEqual({ Ann: 'Ann' })
      expect(await call(ann, 'getAllGroupIdList')).toEqual([])
      const everybody = Object.keys((await call(ann, 'getAllClientIdList')) as object)
      expect(everybody).toEqual(expect.arrayContaining([a, b]))
      expect(await call(ann, 'getAllClientIdCount')).toBe(everybody.length)

      await call(ann, 'closeClient', b, 'goodbye')
      expect(await ben.next()).toBe('goodbye')
      await ben.isClosed()
      expect(await call(ann, 'isOnline', b)).toBe(0)
      expect(await call(ann, 'isOnline', a)).toBe(1)
    })

    it('hears once that a client has left, with the session as it was', async () => {
      const [watcher, leaving, kicked] = [await connectToPhp(), await connectToPhp(), await connectToPhp()]
      await call(watcher, 'joinGroup', watcher.clientId, 'watchers')
      await evaluate(leaving, '$_SESSION["name"] = "Grüße";')
      await leaving.close()
      const expected = {
        closed: leaving.clientId,
        events: ['onConnect', 'onWebSocketConnect', 'onMessage', 'onMessage'],
        session: { name: 'Grüße' },
      }
      const news = await watcher.nextJson()
      expect(news).toMatchObject(expected)
      expect(news.server).toMatchObject({ GATEWAY_CLIENT_ID: leaving.clientId, REMOTE_PORT: leaving.localPort })
      expect(await call(kicked, 'isOnline', kicked.clientId)).toBe(1)
      kicked.send({ do: 'call', method: 'closeCurrentClient', arguments: ['goodbye'] })
      expect(await kicked.next()).toBe('goodbye')
      await kicked.isClosed()
      expect(await watcher.nextJson()).toMatchObject({ closed: kicked.clientId, session: [] })
      expect(await echo(watcher, 'nothing more')).toBe('nothing more')
    })
  })
})

describeWithPhp('a PHP worker beside one of ours, on one gateway', () => {
  const used = usePhpCluster({ phpWorkers: 1 })
  beforeEach(() => {
    cluster = used
  })

  it('shares the clients with it', async () => {
    const clients = await Promise.all(Array.from({ length: 6 }, () => cluster.connect()))
    expect(clients.filter(({ workerPid }) => workerPid === phpPid())).toHaveLength(3)
  })

  it('writes sessions that our side reads', async () => {
    const client = await connectToPhp()
    await evaluate(
      client,
      `$_SESSION = ['int' => 1, 'float' => 0.1, 'whole' => 2.0, 'text' => 'Grüße', 'bytes' => "\\xff\\x00", 'list' => [1, ['x' => null]],
        'map' => ['z' => true, 'a' => [5 => 'five']], 'empty' => [], 'big' => PHP_INT_MAX];`,
    )
    expect(await cluster.backend().getSession(client.clientId)).toEqual({
      int: 1,
      float: 0.1,
      whole: 2,
      text: 'Grüße',
      bytes: Buffer.from([255, 0]),
      list: [1, { x: null }],
      map: { z: true, a: { 5: 'five' } },
      empty: [],
      big: 2n ** 63n - 1n,
    })
  })

  it('reads sessions that our side wrote', async () => {
    const client = await connectToPhp()
    const backend = cluster.backend()
    const session = { n: 1, f: 0.5, text: 'Grüße', list: [1, 'two', null], map: { a: { b: true } } }
    await backend.setSession(client.clientId, { ...session, bytes: Buffer.from([255, 0]) })
    // So that the event that follows is later at the gateway, too.
    expect(await backend.isOnline(client.clientId)).toBe(true)
    const [read, expected] = (await evaluate(
      client,
      `$expected = ['n' => 1, 'f' => 0.5, 'text' => 'Grüße', 'list' => [1, 'two', null], 'map' => ['a' => ['b' => true]],
        'bytes' => "\\xff\\x00"];
      return [bin2hex(serialize($_SESSION)), bin2hex(serialize($expected))];`,
    )) as string[]
    expect(read).toBe(expected)
    await backend.updateSession(client.clientId, { map: { a: { c: 7 } }, list: ['one'] })
    expect(await backend.isOnline(client.clientId)).toBe(true)
    expect(await evaluate(client, 'return [$_SESSION["map"], $_SESSION["list"]];')).toEqual([
      { a: { b: true, c: 7 } },
      ['one', 'two', null],
    ])
  })

  it('has its clients served by ours when it is killed, with what it stored; and is given clients when it is back', async () => {
    const client = await connectToPhp()
    await evaluate(client, '$_SESSION = ["z" => 1.0, "a" => [PHP_INT_MAX, "\\xff"], 5 => (object) ["p" => [1]]];')
    const gone = cluster.gateways[0]!.next({ msg: 'worker gone' })
    cluster.phpWorkers.at(-1)!.kill('SIGKILL')
    await gone
    client.send('text')
    expect(await client.nextJson()).toMatchObject({ count: 1, echo: 'text' })

    // Ours has changed one key. The others are what they were, byte for byte.
    const bytes = `
      [$address, $id] = ClientId::parse($client);
      $select = new Frame(Command::GET_ALL_CLIENT_SESSIONS);
      $session = (new ShortConnections($secretKey, 3))->ask([$address], $select)[$address][$id];
      $expected = serialize(["z" => 1.0, "a" => [PHP_INT_MAX, "\\xff"], 5 => (object) ["p" => [1]], "count" => 1]);
      return [printable($session), printable($expected)];`
    const [kept, expected] = (await cluster.php(bytes, { client: client.clientId })) as string[]
    expect(kept).toBe(expected)

    const linked = cluster.gateways[0]!.next({ msg: 'worker linked', workers: 2 })
    await cluster.startPhpWorker('PhpWorker0')
    await linked
    const newcomer = await connectToPhp()
    expect(await echo(newcomer, 'back')).toBe('back')
  })
})
