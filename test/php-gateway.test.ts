import type { GatewayClient } from '@gatewayworker/gateway-client'
import { beforeEach, describe, expect, it } from 'vitest'
import { describeWithPhp, usePhpCluster } from './php.ts'
import { createRemoteGateway, type Method } from './remote-gateway.ts'
import type { TestClient } from './test-client.ts'

const idsOf = (...clients: TestClient[]) => clients.map(({ clientId }) => clientId)
const sorted = (list: readonly string[]) => [...list].sort()

describeWithPhp("our push API with PHP's gateway beside ours", () => {
  const cluster = usePhpCluster({ phpGateways: 1, secretKey: 'the secret of this cluster' })
  /** Who is there in every test: Ann at our gateway, Ben and Cid at PHP's. */
  let ann: TestClient
  let ben: TestClient
  let cid: TestClient
  /** In whose name Events.ts calls, at our gateway. */
  let host: TestClient
  let gateway: GatewayClient
  /** A number that the PHP gateway has not given to anybody. */
  let nobody: string

  async function receivedBy(client: TestClient): Promise<(string | Buffer)[]> {
    await gateway.sendToClient(client.clientId, 'end')
    const messages: (string | Buffer)[] = []
    for (let message = await client.next(); message !== 'end'; message = await client.next()) messages.push(message)
    return messages
  }

  const received = async () => [await receivedBy(ann), await receivedBy(ben), await receivedBy(cid)]

  async function inGroups(): Promise<void> {
    for (const { clientId } of [ann, ben]) await gateway.joinGroup(clientId, 'g1')
    for (const { clientId } of [ben, cid]) await gateway.joinGroup(clientId, 'g2')
  }

  async function withUids(): Promise<void> {
    for (const { clientId } of [ann, ben]) await gateway.bindUid(clientId, 'u1')
    await gateway.bindUid(cid.clientId, 1001)
  }

  const receipt = (delivered: number) => ({ delivered, slow: 0, unanswered: [] })

  const scenarios: Record<string, { methods: Method[]; run: () => Promise<void> }> = {
    'sends to everybody and to single clients': {
      methods: ['sendToAll', 'sendToClient'],
      async run() {
        await gateway.sendToAll('text')
        await gateway.sendToAll({ a: 'x/y' })
        await gateway.sendToAll('some', idsOf(ann, ben, ben))
        await gateway.sendToAll('none', [])
        await gateway.sendToAll('others', null, idsOf(ann, ben))
        await gateway.sendToAll('only Ben', idsOf(ann, ben), ann.clientId)
        await gateway.sendToAll(Buffer.from([0x82, 2, 0xfe, 0]), null, null, true)
        await gateway.sendToClient(ben.clientId, 'Grüße 😀')
        await gateway.sendToClient(ben.clientId, '')
        await gateway.sendToClient(ben.clientId, 'long '.repeat(50_000))
        const all = ['text', '{"a":"x/y"}']
        const raw = Buffer.from([254, 0])
        expect(await received()).toEqual([
          [...all, 'some', raw],
          [...all, 'some', 'only Ben', raw, 'Grüße 😀', '', 'long '.repeat(50_000)],
          [...all, 'others', raw],
        ])
      },
    },

    'sends to uids and groups': {
      methods: ['sendToUid', 'sendToGroup'],
      async run() {
        await withUids()
        await inGroups()
        await gateway.sendToUid('u1', 'u1')
        await gateway.sendToUid([1001, 'u1', 'u1', 'unknown'], 'uids')
        await gateway.sendToGroup('g2', 'g2')
        await gateway.sendToGroup(['g1', 'g2'], 'both')
        await gateway.sendToGroup('g2', 'not Cid', cid.clientId)
        expect(await received()).toEqual([
          ['u1', 'uids', 'uids', 'both'],
          ['u1', 'uids', 'uids', 'g2', 'both', 'both', 'not Cid'],
          ['uids', 'g2', 'both'],
        ])
      },
    },

    'says who took a message': {
      methods: ['sendToAll', 'sendToClient', 'sendToUid', 'sendToGroup'],
      async run() {
        await withUids()
        await inGroups()
        const options = { receipt: true } as const
        const [a, b, c] = idsOf(ann, ben, cid) as [string, string, string]
        expect(await gateway.sendToAll('', null, host.clientId, options)).toEqual(receipt(3))
        expect(await gateway.sendToAll('', [a, b, b, nobody], null, options)).toEqual(receipt(2))
        expect(await gateway.sendToAll('', [b, c], b, options)).toEqual(receipt(1))
        expect(await gateway.sendToClient(b, '', options)).toEqual(receipt(1))
        expect(await gateway.sendToClient(nobody, '', options)).toEqual(receipt(0))
        expect(await gateway.sendToUid(['u1', 1001, 'unknown'], '', options)).toEqual(receipt(3))
        expect(await gateway.sendToUid([1001, 1001], '', options)).toEqual(receipt(2))
        expect(await gateway.sendToGroup(['g1', 'g2'], '', null, options)).toEqual(receipt(4))
        expect(await gateway.sendToGroup(['g1', 'g2'], '', b, options)).toEqual(receipt(2))
      },
    },

    'closes clients, which PHP does without a goodbye': {
      methods: ['closeClient'],
      async run() {
        await gateway.sendToClient(ben.clientId, 'before')
        await gateway.closeClient(ben.clientId, 'last words')
        await gateway.closeClient(cid.clientId)
        expect(await ben.take(2)).toEqual(['before', 'last words'])
        expect(await ben.isClosed()).toMatchObject({ code: 1006 })
        await cid.isClosed()
        expect(cid.waiting).toBe(0)
        expect(await gateway.isOnline(ben.clientId)).toBe(false)
      },
    },

    'destroys clients': {
      methods: ['destroyClient', 'destoryClient'],
      async run() {
        await gateway.destroyClient(ben.clientId)
        await gateway.destoryClient(cid.clientId)
        expect(await ben.isClosed()).toMatchObject({ code: 1006 })
        expect(await cid.isClosed()).toMatchObject({ code: 1006 })
        expect(await gateway.getAllClientIdCount()).toBe(2)
      },
    },

    'binds uids': {
      methods: [
        'bindUid',
        'unbindUid',
        'getClientIdByUid',
        'batchGetClientIdByUid',
        'getUidByClientId',
        'getAllUidList',
        'getAllUidCount',
        'isUidOnline',
        'isUidsOnline',
      ],
      async run() {
        await withUids()
        expect(sorted(await gateway.getClientIdByUid('u1'))).toEqual(sorted(idsOf(ann, ben)))
        const clients = await gateway.batchGetClientIdByUid(['u1', 1001, 'none'])
        expect(sorted(clients.get('u1')!)).toEqual(sorted(idsOf(ann, ben)))
        expect([clients.get('1001'), clients.get('none')]).toEqual([idsOf(cid), []])
        expect(await gateway.getUidByClientId(cid.clientId)).toBe('1001')
        expect(await gateway.getUidByClientId(nobody)).toBeNull()
        expect(sorted(await gateway.getAllUidList())).toEqual(['1001', 'u1'])
        expect(await gateway.getAllUidCount()).toBe(2)
        await gateway.bindUid(cid.clientId, 'new')
        await gateway.unbindUid(ben.clientId)
        expect(await gateway.getClientIdByUid('u1')).toEqual(idsOf(ann))
        expect(await gateway.getUidByClientId(ben.clientId)).toBeNull()
        expect([await gateway.isUidOnline('new'), await gateway.isUidOnline(1001)]).toEqual([true, false])
        const online = await gateway.isUidsOnline(['new', 1001])
        expect([...online]).toEqual([
          ['new', true],
          ['1001', false],
        ])
      },
    },

    'keeps groups': {
      methods: [
        'joinGroup',
        'leaveGroup',
        'ungroup',
        'getAllGroupIdList',
        'getClientIdCountByGroup',
        'getClientCountByGroup',
        'batchGetClientIdCountByGroup',
        'getClientIdListByGroup',
        'getAllGroupClientIdList',
        'getAllGroupClientIdCount',
      ],
      async run() {
        await inGroups()
        await gateway.joinGroup(cid.clientId, 123)
        await gateway.joinGroup(cid.clientId, 'Räume/1')
        expect(sorted(await gateway.getAllGroupIdList())).toEqual(['123', 'Räume/1', 'g1', 'g2'])
        expect(await gateway.getClientIdCountByGroup('g1')).toBe(2)
        expect(await gateway.getClientCountByGroup(123)).toBe(1)
        const counts = await gateway.batchGetClientIdCountByGroup(['g1', 'g2', 123, 'none'])
        expect(Object.fromEntries(counts)).toEqual({ g1: 2, g2: 2, 123: 1, none: 0 })
        expect(await gateway.getClientIdListByGroup('g2')).toEqual(idsOf(ben, cid))
        await gateway.leaveGroup(ben.clientId, 'g2')
        await gateway.ungroup('g1')
        const clients = await gateway.getAllGroupClientIdList()
        expect(Object.fromEntries(clients)).toEqual({ g2: idsOf(cid), 123: idsOf(cid), 'Räume/1': idsOf(cid) })
        expect(Object.fromEntries(await gateway.getAllGroupClientIdCount())).toEqual({ g2: 1, 123: 1, 'Räume/1': 1 })
      },
    },

    'knows the uids of groups': {
      methods: ['getUidListByGroup', 'getUidCountByGroup', 'getAllGroupUidList', 'getAllGroupUidCount'],
      async run() {
        await withUids()
        await inGroups()
        expect(sorted(await gateway.getUidListByGroup('g2'))).toEqual(['1001', 'u1'])
        expect(await gateway.getUidCountByGroup('g1')).toBe(1)
        const uids = await gateway.getAllGroupUidList()
        expect([uids.get('g1'), sorted(uids.get('g2')!)]).toEqual([['u1'], ['1001', 'u1']])
        expect(Object.fromEntries(await gateway.getAllGroupUidCount())).toEqual({ g1: 1, g2: 2 })
      },
    },

    'reads and writes sessions': {
      methods: ['setSession', 'updateSession', 'getSession', 'getAllClientSessions', 'getClientSessionsByGroup'],
      async run() {
        const session = {
          n: 1,
          f: 0.5,
          text: 'Grüße',
          list: [1, 'two', null],
          map: { a: { b: true } },
          bytes: Buffer.from([255]),
        }
        await gateway.setSession(ben.clientId, session)
        expect(await gateway.getSession(ben.clientId)).toEqual(session)
        await gateway.updateSession(ben.clientId, { map: { a: { c: [] } }, list: ['one'], n: { m: 2 } })
        const merged = { ...session, list: ['one', 'two', null], map: { a: { b: true, c: [] } }, n: { m: 2 } }
        expect(await gateway.getSession(ben.clientId)).toEqual(merged)
        await gateway.updateSession(ann.clientId, { name: 'Ann' })
        expect(await gateway.getSession(cid.clientId)).toEqual({})
        expect(await gateway.getSession(nobody)).toBeNull()
        await inGroups()
        const ofBenAndCid: [string, object][] = [
          [ben.clientId, merged],
          [cid.clientId, {}],
        ]
        expect(await gateway.getClientSessionsByGroup('g2')).toEqual(new Map(ofBenAndCid))
        const all: [string, object][] = [...ofBenAndCid, [ann.clientId, { name: 'Ann' }], [host.clientId, {}]]
        expect(await gateway.getAllClientSessions()).toEqual(new Map(all))
        await gateway.setSession(ben.clientId, {})
        expect(await gateway.getSession(ben.clientId)).toEqual({})
      },
    },

    'knows who is online': {
      methods: ['isOnline', 'getAllClientIdCount', 'getAllClientCount', 'getAllClientIdList'],
      async run() {
        expect([await gateway.isOnline(ben.clientId), await gateway.isOnline(nobody)]).toEqual([true, false])
        expect([await gateway.getAllClientIdCount(), await gateway.getAllClientCount()]).toEqual([4, 4])
        const list = await gateway.getAllClientIdList()
        expect(sorted(list)).toEqual(sorted(idsOf(ann, ben, cid, host)))
        expect(list.filter((clientId) => clientId !== ann.clientId && clientId !== host.clientId)).toEqual(
          idsOf(ben, cid),
        )
      },
    },
  }

  beforeEach(async () => {
    ann = await cluster.connect(0)
    host = await cluster.connect(0)
    ben = await cluster.connect(1)
    cid = await cluster.connect(1)
    nobody = `${ben.clientId.slice(0, 12)}ffffffff`
  })

  describe.each(['a backend', 'Events.ts'])('in %s', (caller) => {
    beforeEach(() => {
      gateway = caller === 'a backend' ? cluster.backend() : createRemoteGateway(host)
    })

    it.each(Object.entries(scenarios))('%s', (_name, { run }) => run())
  })

  it('has all of its methods tested', async () => {
    const { GatewayClient } = await import('@gatewayworker/gateway-client')
    const tested = Object.values(scenarios).flatMap(({ methods }) => methods as string[])
    const members = Object.entries(Object.getOwnPropertyDescriptors(GatewayClient.prototype))
    // How it is made and ended; what asks no gateway; and what has tests of its own, below.
    const others = /^(constructor|usePool|close|createBindToken|verifyBindToken|\w+CurrentClient)$/
    const methods = members.filter(([name, { value }]) => typeof value === 'function' && !others.test(name))
    expect(sorted([...new Set(tested)])).toEqual(sorted(methods.map(([name]) => name)))
  })

  it.each([
    ['closeCurrentClient', ['last words']],
    ['destroyCurrentClient', []],
  ] as const)('knows the client of an event: %s', async (method, texts) => {
    const current = createRemoteGateway(ben)
    // No answer can come of it.
    current[method]('last words').catch(() => {})
    expect(await ben.take(texts.length)).toEqual(texts)
    expect(await ben.isClosed()).toMatchObject({ code: 1006 })
  })
})

describeWithPhp("our worker with PHP's gateway", () => {
  const cluster = usePhpCluster({ events: 'every-event.ts', phpGateways: 1 })
  const open = (path = '') => cluster.open(1, path)

  it('is told who the client is', async () => {
    const client = await open('/?name=J%C3%BCrgen&show=request')
    const request = await client.nextJson()
    expect(request.get).toEqual({ name: 'Jürgen', show: 'request' })
    expect(request.server).toMatchObject({ QUERY_STRING: 'name=J%C3%BCrgen&show=request', REMOTE_ADDR: '127.0.0.1' })
    expect(request.headers).toMatchObject({ upgrade: 'websocket' })
    client.send('context')
    expect(await client.nextJson()).toEqual({
      clientId: expect.stringMatching(/^7f000001[0-9a-f]{12}$/),
      gatewayAddress: '127.0.0.1',
      gatewayPort: Number(new URL(cluster.url(1)).port),
      remoteAddress: '127.0.0.1',
      remotePort: client.localPort,
    })
  })

  it('handles the events of a client in order, each with the session that the one before left', async () => {
    const [ann, ben] = [await open(), await open()]
    for (let times = 0; times < 20; times += 1) ann.send('count')
    ann.send('session')
    expect(await ann.nextJson()).toEqual({ count: 20, events: ['onConnect', 'onWebSocketConnect'] })
    ann.send('hold door')
    ann.send('echo later')
    expect(await ann.next()).toBe('door begins')
    ben.send('open door')
    expect(await ann.take(2)).toEqual(['door ends', 'later'])
  })

  it('hears once that a client has left, with its session', async () => {
    const [watcher, leaving] = [await open(), await open()]
    watcher.send('watch')
    expect(await watcher.next()).toBe('watching')
    leaving.send('replace gone')
    leaving.send('echo stored')
    await leaving.next()
    await leaving.close()
    expect(await watcher.nextJson()).toMatchObject({ session: { word: 'gone' } })
    watcher.send('echo nothing more')
    expect(await watcher.next()).toBe('nothing')
  })

  it.each(['throwing', 'closing'])('refuses a client by %s', async (how) => {
    const client = await open(`/?refuse=by%20${how}`)
    if (how === 'closing') expect(await client.next()).toBe('not you')
    expect(await client.isClosed()).toMatchObject({ code: 1006 })
  })
})

describeWithPhp("PHP's gateway with a worker of ours and one of PHP's", () => {
  const cluster = usePhpCluster({ gateways: 0, phpGateways: 1, phpWorkers: 1 })
  const isServedByPhp = ({ workerPid }: TestClient) => workerPid === cluster.phpWorkers[0]!.child().pid

  it('has the clients shared by both, text and bytes alike', async () => {
    const clients = [await cluster.connect(), await cluster.connect()]
    expect(clients.filter(isServedByPhp)).toHaveLength(1)
    const ours = clients.find((client) => !isServedByPhp(client))!
    ours.send(Buffer.from('bytes that are text'))
    expect(await ours.nextJson()).toMatchObject({ echo: 'bytes that are text' })
  })

  it('has sessions that both read and write, and ours changes nothing but what it changes', async () => {
    const clients = [await cluster.connect(), await cluster.connect()]
    const ours = clients.find((client) => !isServedByPhp(client))!
    // The answer to the question says that the command before it has been carried out.
    const stored = await cluster.php(
      `
      Gateway::setSession($id, ['z' => 1.0, 'a' => [PHP_INT_MAX, "\\xff"], 'count' => 7, 5 => (object) ['p' => [1]], 'empty' => []]);
      return count(Gateway::getSession($id));`,
      { id: ours.clientId },
    )
    expect(stored).toBe(5)
    ours.send('text')
    expect(await ours.nextJson()).toMatchObject({ count: 8, echo: 'text' })
    ours.send('again')
    expect(await ours.nextJson()).toMatchObject({ count: 9, echo: 'again' })
    const [kept, expected] = (await cluster.php(
      `
      $expected = ['z' => 1.0, 'a' => [PHP_INT_MAX, "\\xff"], 'count' => 9, 5 => (object) ['p' => [1]], 'empty' => []];
      [$address, $id] = ClientId::parse($id);
      $sessions = (new ShortConnections($secretKey, 3))->ask([$address], new Frame(Command::GET_ALL_CLIENT_SESSIONS))[$address];
      return [printable($sessions[$id]), printable(serialize($expected))];`,
      { id: ours.clientId },
    )) as string[]
    expect(kept).toBe(expected)
  })

  it('is found when it comes later, by both', async () => {
    const gateway = await cluster.startPhpGateway()
    await gateway.line({ msg: 'worker linked', workers: 2 })
    const clients = [await cluster.connect(1), await cluster.connect(1)]
    expect(clients.filter(isServedByPhp)).toHaveLength(1)
    expect(sorted(await cluster.newBackend().getAllClientIdList())).toEqual(sorted(idsOf(...clients)))
  })
})
