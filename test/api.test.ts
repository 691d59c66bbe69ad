import { GatewayClient } from '@gatewayworker/gateway-client'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { useCluster } from './cluster.ts'
import { createRemoteGateway, type Method } from './remote-gateway.ts'
import type { TestClient } from './test-client.ts'

const cluster = useCluster({ gateways: 2, workers: 2 })

/** Who is there in every test: Ann and Cid at the first gateway, Ben at the second. */
let ann: TestClient
let ben: TestClient
let cid: TestClient
let backend: GatewayClient
/** Whoever calls: a backend, or Events.ts in the name of `host`, a client that is there as well. */
let gateway: GatewayClient
let host: TestClient

const idsOf = (...clients: TestClient[]) => clients.map(({ clientId }) => clientId)
const sorted = (list: readonly string[]) => [...list].sort()
const nobody = 'ffffffffffffffffffff'

/** Everything that was sent to a client so far. */
async function receivedBy(client: TestClient): Promise<(string | Buffer)[]> {
  const end = `end ${Math.random()}`
  await gateway.sendToClient(client.clientId, end)
  const messages: (string | Buffer)[] = []
  for (let message = await client.next(); message !== end; message = await client.next()) messages.push(message)
  return messages
}

/** What Ann, Ben and Cid were sent so far. */
const received = async () => [await receivedBy(ann), await receivedBy(ben), await receivedBy(cid)]

const scenarios: Record<Exclude<Method, CurrentMethod>, () => Promise<void>> = {
  async sendToAll() {
    await gateway.sendToAll('text')
    await gateway.sendToAll(Buffer.from([0, 255]))
    await gateway.sendToAll({ a: 1 })
    await gateway.sendToAll('some', idsOf(ann, ben, ben))
    await gateway.sendToAll('none', [])
    await gateway.sendToAll('others', null, idsOf(ann, ben))
    await gateway.sendToAll('not Ann', null, ann.clientId)
    await gateway.sendToAll('only Ben', idsOf(ann, ben), ann.clientId)
    await gateway.sendToAll(Buffer.from([0x81, 3, ...Buffer.from('raw')]), null, null, true)
    const all = ['text', Buffer.from([0, 255]), '{"a":1}']
    expect(await received()).toEqual([
      [...all, 'some', 'raw'],
      [...all, 'some', 'not Ann', 'only Ben', 'raw'],
      [...all, 'others', 'not Ann', 'raw'],
    ])
    const receipt = await gateway.sendToAll('receipt', null, ann.clientId, { receipt: true })
    expect(receipt).toEqual({ delivered: 3, slow: 0, unanswered: [] })
  },

  async sendToClient() {
    await gateway.sendToClient(ben.clientId, 'for Ben')
    await gateway.sendToClient(nobody, 'for nobody')
    expect(await received()).toEqual([[], ['for Ben'], []])
    expect(await gateway.sendToClient(ben.clientId, '', { receipt: true })).toMatchObject({ delivered: 1 })
    expect(await gateway.sendToClient(nobody, '', { receipt: true })).toMatchObject({ delivered: 0 })
  },

  async sendToUid() {
    await gateway.bindUid(ann.clientId, 'u1')
    await gateway.bindUid(ben.clientId, 'u1')
    await gateway.bindUid(cid.clientId, 2)
    await gateway.sendToUid('u1', 'one uid')
    await gateway.sendToUid(['u1', 2, 'u3'], 'three uids')
    expect(await received()).toEqual([['one uid', 'three uids'], ['one uid', 'three uids'], ['three uids']])
    expect(await gateway.sendToUid(['u1', 'u3'], '', { receipt: true })).toMatchObject({ delivered: 2 })
  },

  async sendToGroup() {
    await gateway.joinGroup(ann.clientId, 'g1')
    await gateway.joinGroup(ben.clientId, 'g1')
    await gateway.joinGroup(ben.clientId, 'g2')
    await gateway.joinGroup(cid.clientId, 'g2')
    await gateway.sendToGroup('g1', 'to g1')
    await gateway.sendToGroup(['g1', 'g2'], 'to both')
    await gateway.sendToGroup('g2', 'not Cid', [cid.clientId])
    expect(await received()).toEqual([['to g1', 'to both'], ['to g1', 'to both', 'to both', 'not Cid'], ['to both']])
    expect(await gateway.sendToGroup('g1', '', null, { receipt: true })).toMatchObject({ delivered: 2 })
  },

  async closeClient() {
    await gateway.sendToClient(ben.clientId, 'before')
    await gateway.closeClient(ben.clientId, 'last words')
    await gateway.closeClient(cid.clientId)
    expect(await ben.take(2)).toEqual(['before', 'last words'])
    expect(await ben.isClosed()).toEqual({ code: 1000, reason: '' })
    expect(await cid.isClosed()).toEqual({ code: 1000, reason: '' })
    expect(await gateway.isOnline(ben.clientId)).toBe(false)
  },

  destroyClient: () => expectDestroyed('destroyClient'),
  destoryClient: () => expectDestroyed('destoryClient'),

  async bindUid() {
    await gateway.bindUid(ann.clientId, 'old')
    await gateway.bindUid(ann.clientId, 'new')
    await gateway.bindUid(ben.clientId, 'new')
    expect(await gateway.getClientIdByUid('old')).toEqual([])
    expect(sorted(await gateway.getClientIdByUid('new'))).toEqual(sorted(idsOf(ann, ben)))
  },

  async unbindUid() {
    await gateway.bindUid(ann.clientId, 'u')
    await gateway.bindUid(ben.clientId, 'u')
    await gateway.unbindUid(ann.clientId, 'u')
    expect(await gateway.getClientIdByUid('u')).toEqual([ben.clientId])
  },

  async joinGroup() {
    await gateway.joinGroup(ann.clientId, 'g')
    await gateway.joinGroup(ann.clientId, 'g')
    await gateway.joinGroup(ben.clientId, 'g')
    expect(await gateway.getClientIdCountByGroup('g')).toBe(2)
  },

  async leaveGroup() {
    await gateway.joinGroup(ann.clientId, 'g')
    await gateway.joinGroup(ann.clientId, 'other')
    await gateway.joinGroup(ben.clientId, 'g')
    await gateway.leaveGroup(ann.clientId, 'g')
    expect(await gateway.getClientIdListByGroup('g')).toEqual([ben.clientId])
    expect(await gateway.getClientIdListByGroup('other')).toEqual([ann.clientId])
  },

  async ungroup() {
    for (const { clientId } of [ann, ben, cid]) await gateway.joinGroup(clientId, 'g')
    await gateway.joinGroup(cid.clientId, 'other')
    await gateway.ungroup('g')
    expect(await gateway.getAllGroupIdList()).toEqual(['other'])
  },

  async setSession() {
    await gateway.setSession(ben.clientId, { a: 1, b: { c: 2 } })
    await gateway.setSession(ben.clientId, { b: { d: 3 } })
    expect(await gateway.getSession(ben.clientId)).toEqual({ b: { d: 3 } })
  },

  async updateSession() {
    await gateway.setSession(ben.clientId, { a: 1, b: { c: 2 } })
    await gateway.updateSession(ben.clientId, { b: { d: 3 } })
    expect(await gateway.getSession(ben.clientId)).toEqual({ a: 1, b: { c: 2, d: 3 } })
  },

  async getSession() {
    const session = { list: [1, 'two', null], nested: { yes: true }, text: 'ü', number: 1.5 }
    await gateway.setSession(cid.clientId, session)
    expect(await gateway.getSession(cid.clientId)).toEqual(session)
    expect(await gateway.getSession(ben.clientId)).toEqual({})
    expect(await gateway.getSession(nobody)).toBeNull()
  },

  async getAllClientSessions() {
    await gateway.setSession(ann.clientId, { name: 'Ann' })
    await gateway.setSession(ben.clientId, { name: 'Ben' })
    await gateway.joinGroup(ben.clientId, 'g')
    expect(await gateway.getAllClientSessions()).toEqual(
      new Map<string, object>([
        [ann.clientId, { name: 'Ann' }],
        [ben.clientId, { name: 'Ben' }],
        [cid.clientId, {}],
        [host.clientId, {}],
      ]),
    )
    expect(await gateway.getAllClientSessions('g')).toEqual(new Map([[ben.clientId, { name: 'Ben' }]]))
  },

  async getClientSessionsByGroup() {
    await gateway.setSession(ben.clientId, { name: 'Ben' })
    await gateway.joinGroup(ben.clientId, 'g')
    await gateway.joinGroup(cid.clientId, 'g')
    expect(await gateway.getClientSessionsByGroup('g')).toEqual(
      new Map<string, object>([
        [ben.clientId, { name: 'Ben' }],
        [cid.clientId, {}],
      ]),
    )
    expect(await gateway.getClientSessionsByGroup('empty')).toEqual(new Map())
  },

  async isOnline() {
    expect(await gateway.isOnline(ben.clientId)).toBe(true)
    expect(await gateway.isOnline(nobody)).toBe(false)
    // A connection number that this gateway has not given out yet.
    expect(await gateway.isOnline(`${ben.clientId.slice(0, -1)}${ben.clientId.endsWith('0') ? 'f' : '0'}`)).toBe(false)
  },

  async isUidOnline() {
    await gateway.bindUid(ben.clientId, 7)
    expect(await gateway.isUidOnline('7')).toBe(true)
    expect(await gateway.isUidOnline('8')).toBe(false)
  },

  async isUidsOnline() {
    await gateway.bindUid(ann.clientId, 'u1')
    await gateway.bindUid(ben.clientId, 'u2')
    expect(await gateway.isUidsOnline(['u1', 'u2', 3])).toEqual(
      new Map([
        ['u1', true],
        ['u2', true],
        ['3', false],
      ]),
    )
  },

  getAllClientIdCount: () => expectAllCounted('getAllClientIdCount'),
  getAllClientCount: () => expectAllCounted('getAllClientCount'),
  getClientIdCountByGroup: () => expectMembersCounted('getClientIdCountByGroup'),
  getClientCountByGroup: () => expectMembersCounted('getClientCountByGroup'),

  async batchGetClientIdCountByGroup() {
    await inGroups()
    expect(await gateway.batchGetClientIdCountByGroup(['g1', 'g2', 'empty'])).toEqual(
      new Map([
        ['g1', 2],
        ['g2', 2],
        ['empty', 0],
      ]),
    )
  },

  async getAllClientIdList() {
    expect(sorted(await gateway.getAllClientIdList())).toEqual(sorted(idsOf(ann, ben, cid, host)))
  },

  async getClientIdListByGroup() {
    await inGroups()
    expect(sorted(await gateway.getClientIdListByGroup('g2'))).toEqual(sorted(idsOf(ben, cid)))
    expect(await gateway.getClientIdListByGroup('empty')).toEqual([])
  },

  async getClientIdByUid() {
    await withUids()
    expect(sorted(await gateway.getClientIdByUid('u1'))).toEqual(sorted(idsOf(ann, ben)))
    expect(await gateway.getClientIdByUid('unknown')).toEqual([])
  },

  async batchGetClientIdByUid() {
    await withUids()
    const clients = await gateway.batchGetClientIdByUid(['u1', 'u2', 'unknown'])
    expect(sorted(clients.get('u1')!)).toEqual(sorted(idsOf(ann, ben)))
    expect(clients.get('u2')).toEqual([cid.clientId])
    expect(clients.get('unknown')).toEqual([])
  },

  async getUidByClientId() {
    await gateway.bindUid(ben.clientId, 42)
    expect(await gateway.getUidByClientId(ben.clientId)).toBe('42')
    expect(await gateway.getUidByClientId(ann.clientId)).toBeNull()
    expect(await gateway.getUidByClientId(nobody)).toBeNull()
  },

  async getUidListByGroup() {
    await withUids()
    await inGroups()
    expect(await gateway.getUidListByGroup('g1')).toEqual(['u1'])
    expect(sorted(await gateway.getUidListByGroup('g2'))).toEqual(['u1', 'u2'])
  },

  async getUidCountByGroup() {
    await withUids()
    await inGroups()
    expect(await gateway.getUidCountByGroup('g1')).toBe(1)
    expect(await gateway.getUidCountByGroup('g2')).toBe(2)
    expect(await gateway.getUidCountByGroup('empty')).toBe(0)
  },

  async getAllUidList() {
    await withUids()
    expect(sorted(await gateway.getAllUidList())).toEqual(['u1', 'u2'])
  },

  async getAllUidCount() {
    expect(await gateway.getAllUidCount()).toBe(0)
    await withUids()
    expect(await gateway.getAllUidCount()).toBe(2)
  },

  async getAllGroupIdList() {
    expect(await gateway.getAllGroupIdList()).toEqual([])
    await inGroups()
    expect(sorted(await gateway.getAllGroupIdList())).toEqual(['g1', 'g2'])
  },

  async getAllGroupUidList() {
    await withUids()
    await inGroups()
    const uids = await gateway.getAllGroupUidList()
    expect(sorted([...uids.keys()])).toEqual(['g1', 'g2'])
    expect(uids.get('g1')).toEqual(['u1'])
    expect(sorted(uids.get('g2')!)).toEqual(['u1', 'u2'])
  },

  async getAllGroupUidCount() {
    await withUids()
    await inGroups()
    expect(Object.fromEntries(await gateway.getAllGroupUidCount())).toEqual({ g1: 1, g2: 2 })
  },

  async getAllGroupClientIdList() {
    await inGroups()
    const clients = await gateway.getAllGroupClientIdList()
    expect(sorted([...clients.keys()])).toEqual(['g1', 'g2'])
    expect(sorted(clients.get('g1')!)).toEqual(sorted(idsOf(ann, ben)))
    expect(sorted(clients.get('g2')!)).toEqual(sorted(idsOf(ben, cid)))
  },

  async getAllGroupClientIdCount() {
    await inGroups()
    expect(Object.fromEntries(await gateway.getAllGroupClientIdCount())).toEqual({ g1: 2, g2: 2 })
  },
}

type CurrentMethod = Extract<Method, `${string}Current${string}`>

/** The methods for the client whose event is handled: called in the name of Ben. */
const currentScenarios: Record<CurrentMethod, (current: GatewayClient) => Promise<void>> = {
  async sendToCurrentClient(current) {
    const receipt = await current.sendToCurrentClient('for Ben', { receipt: true })
    expect(receipt).toEqual({ delivered: 1, slow: 0, unanswered: [] })
    expect(await received()).toEqual([[], ['for Ben'], []])
  },

  async closeCurrentClient(current) {
    // No answer can come of it.
    current.closeCurrentClient('last words').catch(() => {})
    expect(await ben.isClosed()).toEqual({ code: 1000, reason: '' })
  },

  async destroyCurrentClient(current) {
    current.destroyCurrentClient().catch(() => {})
    expect(await ben.isClosed()).toEqual({ code: 1006, reason: '' })
  },
}

/** Ann and Ben in g1, Ben and Cid in g2. */
async function inGroups(): Promise<void> {
  for (const { clientId } of [ann, ben]) await gateway.joinGroup(clientId, 'g1')
  for (const { clientId } of [ben, cid]) await gateway.joinGroup(clientId, 'g2')
}

/** Ann and Ben are u1, Cid is u2. */
async function withUids(): Promise<void> {
  for (const { clientId } of [ann, ben]) await gateway.bindUid(clientId, 'u1')
  await gateway.bindUid(cid.clientId, 'u2')
}

async function expectDestroyed(method: 'destroyClient' | 'destoryClient'): Promise<void> {
  await gateway[method](ben.clientId)
  expect(await ben.isClosed()).toEqual({ code: 1006, reason: '' })
  expect(await gateway.isOnline(ben.clientId)).toBe(false)
}

async function expectAllCounted(method: 'getAllClientIdCount' | 'getAllClientCount'): Promise<void> {
  expect(await gateway[method]()).toBe(4)
  await gateway.destroyClient(ben.clientId)
  expect(await gateway[method]()).toBe(3)
}

async function expectMembersCounted(method: 'getClientIdCountByGroup' | 'getClientCountByGroup'): Promise<void> {
  await inGroups()
  expect(await gateway[method]('g1')).toBe(2)
  await gateway.destroyClient(ben.clientId)
  expect(await gateway[method]('g1')).toBe(1)
  expect(await gateway[method]('empty')).toBe(0)
}

describe('every method of the push API has a test', () => {
  it('and none has one that is gone', () => {
    const members = Object.entries(Object.getOwnPropertyDescriptors(GatewayClient.prototype))
    const methods = members.filter(([, { value }]) => typeof value === 'function').map(([name]) => name)
    // How it is made and ended, which is not about clients; and what asks no gateway (packages/gateway-client/test/bind-token.test.ts).
    const others = ['constructor', 'usePool', 'close', 'createBindToken', 'verifyBindToken']
    expect(sorted([...Object.keys(scenarios), ...Object.keys(currentScenarios), ...others])).toEqual(sorted(methods))
  })
})

describe.each(['a backend', 'Events.ts'])('Gateway in %s', (caller) => {
  beforeEach(async () => {
    ann = await cluster.connect(0)
    ben = await cluster.connect(1)
    cid = await cluster.connect(0)
    host = await cluster.connect(1)
    backend = cluster.backend()
    gateway = caller === 'a backend' ? backend : createRemoteGateway(host)
  })

  afterEach(async () => {
    for (const { clientId } of [ann, ben, cid, host]) await backend.destroyClient(clientId)
    // The next test begins with nobody there.
    expect(await backend.getAllClientIdCount()).toBe(0)
  })

  it.each(Object.entries(scenarios))('%s', (_method, scenario) => scenario())

  it.each([
    ['BAD_CLIENT_ID', () => gateway.sendToClient('not an id', '')],
    ['BAD_CLIENT_ID', () => gateway.sendToAll('', ['not an id'])],
    ['BAD_CLIENT_ID', () => gateway.isOnline('')],
    ['BAD_UID', () => gateway.bindUid(ann.clientId, '')],
    ['BAD_UID', () => gateway.sendToUid(['u', 0], '')],
    ['BAD_UID', () => gateway.getClientIdByUid('0')],
    ['BAD_GROUP', () => gateway.joinGroup(ann.clientId, '')],
    ['BAD_GROUP', () => gateway.sendToGroup('', '')],
    ['BAD_GROUP', () => gateway.getClientIdCountByGroup('')],
    ['BAD_SESSION', () => gateway.setSession(ann.clientId, [] as never)],
  ])('rejects with %s where an argument makes no sense: %s', async (code, call) => {
    await expect(call()).rejects.toMatchObject({ code })
  })

  it.each(Object.entries(currentScenarios))('%s', async (method, scenario) => {
    if (caller === 'Events.ts') await scenario(createRemoteGateway(ben))
    else {
      const call = gateway[method as CurrentMethod] as (message: string) => Promise<unknown>
      await expect(call.call(gateway, 'text')).rejects.toMatchObject({ code: 'NO_CURRENT_CLIENT' })
    }
  })
})
