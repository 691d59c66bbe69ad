import { describe, expect, test } from 'vitest'
import { startCluster } from './start-cluster.ts'

describe('calls that nobody waits for take effect in the order in which they were made', () => {
  test('before there is a link', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const push = cluster.push()
    void push.sendToGroup('g', 'too early')
    void push.joinGroup(client.clientId, 'g')
    void push.sendToGroup('g', 'a member')
    void push.leaveGroup(client.clientId, 'g')
    void push.sendToGroup('g', 'too late')
    void push.bindUid(client.clientId, 7)
    void push.sendToUid(7, 'bound')
    const online = push.isUidOnline(7)
    void push.closeClient(client.clientId, 'bye')
    const gone = push.isOnline(client.clientId)
    expect(await client.messages.take(3)).toEqual(['a member', 'bound', 'bye'])
    expect([await online, await gone]).toEqual([true, false])
    expect((await client.closed).code).toBe(1000)
    expect(client.messages.size).toBe(0)
  })

  test('on a kept link, a thousand at once', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const push = cluster.push()
    await push.isOnline(client.clientId)
    const texts = Array.from({ length: 1_000 }, (_, at) => String(at))
    for (const [at, text] of texts.entries()) {
      void (at % 2 === 0 ? push.sendToClient(client.clientId, text) : push.sendToAll(text))
    }
    expect(await client.messages.take(1_000)).toEqual(texts)
  })
})

describe('a receipt', () => {
  test('adds up what the gateways say', async () => {
    const cluster = await startCluster({ gateways: 2 })
    const clients = [await cluster.connect(0), await cluster.connect(1), await cluster.connect(1)]
    const push = cluster.push()
    const [first, second] = clients.map(({ clientId }) => clientId)
    const receipt = { receipt: true } as const
    expect(await push.sendToAll('m', null, null, receipt)).toEqual({ delivered: 3, slow: 0, unanswered: [] })
    expect(await push.sendToAll('m', [first!, first!, second!], null, receipt)).toMatchObject({ delivered: 2 })
    expect(await push.sendToAll('m', [first!, second!], first, receipt)).toMatchObject({ delivered: 1 })
    expect(await push.sendToAll('m', [], null, receipt)).toMatchObject({ delivered: 0 })
    expect(await push.sendToClient(first!, 'm', receipt)).toMatchObject({ delivered: 1 })
    expect(await push.sendToClient('7f000001000100000001', 'm', receipt)).toMatchObject({ delivered: 0 })
    expect(await push.sendToUid('nobody', 'm', receipt)).toMatchObject({ delivered: 0 })
    for (const { clientId } of clients) void push.joinGroup(clientId, 'g')
    expect(await push.sendToGroup('g', 'm', [second!], receipt)).toMatchObject({ delivered: 2 })
  })

  test('without one a send tells nothing', async () => {
    const cluster = await startCluster()
    expect(await cluster.push().sendToAll('m')).toBeUndefined()
  })
})
