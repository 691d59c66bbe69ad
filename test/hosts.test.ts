import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import { HostCluster } from './host-cluster.ts'
import { describeWithNetworks } from './namespaces.ts'
import type { TestClient } from './test-client.ts'

interface Echo {
  echo: string
  redelivered?: true
  remoteAddress: string
  workerPid: number
}

describeWithNetworks('a cluster on hosts of their own', () => {
  const cluster = new HostCluster()
  beforeAll(() => cluster.start())
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') cluster.printLogs()
  })
  afterAll(() => cluster.stop())

  it('serves, is pushed to, and knows where clients are', async () => {
    const [ann, ben] = [await cluster.connect(0), await cluster.connect(1)]
    const backend = cluster.remoteBackend()
    ann.send('hello')
    expect(await ann.nextJson()).toMatchObject({ echo: 'hello', remoteAddress: cluster.network.outside.address })
    await backend.bindUid(ann.clientId, 'Ann')
    await backend.joinGroup(ben.clientId, 'room')
    await backend.sendToUid('Ann', 'to Ann')
    expect(await ann.next()).toBe('to Ann')
    await backend.sendToGroup('room', 'to the room')
    expect(await ben.next()).toBe('to the room')
    expect(await backend.sendToAll('to all', null, null, { receipt: true })).toMatchObject({ delivered: 2 })
    await Promise.all([ann.close(), ben.close()])
  })

  it('loses, doubles and disorders nothing when packets are late and lost', async () => {
    cluster.network.impair({ delayMs: 50, dropEvery: 20 })
    const clients = await Promise.all([0, 0, 1, 1].map((gateway) => cluster.connect(gateway)))
    for (let number = 0; number < 100; number += 1) for (const client of clients) client.send(String(number))
    await Promise.all(clients.map((client) => expectAllInOrder(client, 100)))
    cluster.network.heal()
    await Promise.all(clients.map((client) => client.close()))
  })

  it('goes on without a worker host that is cut off, loses nothing of what that had, and uses it again', async () => {
    const clients = await Promise.all([0, 0, 1, 1].map((gateway) => cluster.connect(gateway)))
    const { pid } = cluster.workerPrograms[0]!.child()
    expect(clients.map(({ workerPid }) => workerPid)).toContain(pid)
    for (let number = 0; number < 20; number += 1) for (const client of clients) client.send(String(number))
    await Promise.all(clients.map((client) => client.nextJson()))

    const gone = cluster.gateways.map((gateway) => gateway.next({ msg: 'worker gone' }))
    const noticed = cluster.workerPrograms[0]!.next({ code: 'LINK_TIMED_OUT' })
    cluster.network.cut(cluster.host('worker0'))
    for (let number = 20; number < 40; number += 1) for (const client of clients) client.send(String(number))
    await Promise.all([...gone, noticed, ...clients.map((client) => expectAllInOrder(client, 40, 1))])
    for (const client of clients) {
      client.send('by whom?')
      expect((await client.nextJson()).workerPid).not.toBe(pid)
    }

    const linked = cluster.gateways.map((gateway) => gateway.next({ msg: 'worker linked', workers: 2 }))
    cluster.network.heal()
    await Promise.all(linked)
    const newcomer = await cluster.connect(0)
    expect(newcomer.workerPid).toBe(pid)
    await Promise.all([...clients, newcomer].map((client) => client.close()))
  })

  it('goes on without a gateway host that is cut off for a moment, whose clients stay', async () => {
    const [ann, lost] = [await cluster.connect(0), await cluster.connect(1)]
    const backend = cluster.remoteBackend()
    await backend.joinGroup(ann.clientId, 'watchers')
    expect(await backend.getAllClientIdCount()).toBe(2)

    cluster.network.cut(cluster.host('gateway1'))
    ann.send('unaffected')
    expect(await ann.nextJson()).toMatchObject({ echo: 'unaffected' })
    const { lan } = cluster.gateways[1]!.child()
    const asked = backend.getAllClientIdCount()
    await backend.sendToAll('for who can be reached')
    expect(await ann.next()).toBe('for who can be reached')
    await expect(asked).rejects.toMatchObject({ code: 'GATEWAY_UNAVAILABLE', missing: [lan], partial: 1 })
    lost.send('late')

    cluster.network.heal()
    const late = (await lost.take(2)).sort()
    expect(late).toEqual(['for who can be reached', expect.stringContaining('"echo":"late"')])
    await lost.close()
    // Of those that were closed it is the first.
    expect(await ann.nextJson()).toEqual({ closed: lost.clientId, closeReason: 'client' })
    await ann.close()
  })

  it('closes the clients of a gateway host that stays cut off, once', async () => {
    const [ann, lost] = [await cluster.connect(0), await cluster.connect(1)]
    const backend = cluster.remoteBackend()
    await backend.joinGroup(ann.clientId, 'watchers')
    cluster.network.cut(cluster.host('gateway1'))
    expect(await ann.nextJson()).toEqual({ closed: lost.clientId, closeReason: 'gateway_lost' })
    ann.send('unaffected')
    expect(await ann.nextJson()).toMatchObject({ echo: 'unaffected' })

    await cluster.gateways[1]!.line({ msg: 'neither a worker nor a register can be reached: all clients are closed' })
    const linked = cluster.gateways[1]!.next({ msg: 'worker linked', workers: 2 })
    cluster.network.heal()
    expect(await lost.isClosed()).toEqual({ code: 1001, reason: 'gateway is cut off' })
    await linked
    const ben = await cluster.connect(1)
    await ben.close()
    expect(await ann.nextJson()).toEqual({ closed: ben.clientId, closeReason: 'client' })
    await ann.close()
  })

  it('goes on without the register, and finds a new gateway when that can be reached again', async () => {
    const [ann, ben] = [await cluster.connect(0), await cluster.connect(1)]
    const backend = cluster.remoteBackend()
    const noticed = [...cluster.gateways, ...cluster.workerPrograms].map((program) =>
      program.next({ msg: 'the register is away: nothing was heard from it' }),
    )
    const offline = cluster.gateways.map((gateway) =>
      cluster.register.next({ msg: 'gateway offline', gateway: gateway.child().lan }),
    )
    cluster.network.cut(cluster.host('register'))
    await Promise.all([...noticed, ...offline])
    ben.send('handled')
    expect(await ben.nextJson()).toMatchObject({ echo: 'handled' })
    expect(await backend.sendToAll('pushed', null, null, { receipt: true })).toMatchObject({ delivered: 2 })
    expect(await ann.next()).toBe('pushed')

    const late = await cluster.startGatewayOn(2)
    cluster.network.heal()
    await late.line({ msg: 'worker linked', workers: 2 })
    const newcomer = await cluster.connect(2)
    await vi.waitUntil(() => backend.isOnline(newcomer.clientId), 10_000)
    await backend.sendToClient(newcomer.clientId, 'found')
    expect(await newcomer.next()).toBe('found')
    await Promise.all([ann, ben, newcomer].map((client) => client.close()))
    await late.stop()
  })

  it('notices a client that is cut off', async () => {
    const ann = await cluster.connect(0)
    await cluster.remoteBackend().joinGroup(ann.clientId, 'watchers')
    const heartbeat = ['--ping-interval', '0.5', '--ping-not-response-limit', '2']
    const gateway = await cluster.startGatewayOn(2, heartbeat)
    await gateway.line({ msg: 'worker linked', workers: 2 })
    const lost = await cluster.connect(2)
    cluster.network.cut(cluster.network.outside, cluster.host('gateway2'))
    expect(await ann.nextJson()).toEqual({ closed: lost.clientId, closeReason: 'heartbeat' })
    await ann.close()
    cluster.network.heal()
    await gateway.stop()
  })
})

/** Takes what a client is answered to the numbers up to `count`: each once and in order, but for those that are answered again, and say so. */
async function expectAllInOrder(client: TestClient, count: number, first = 0): Promise<void> {
  for (let expected = first; expected < count; ) {
    const { echo, redelivered } = (await client.nextJson()) as Echo
    if (redelivered && Number(echo) < expected) continue
    expect(echo).toBe(String(expected))
    expected += 1
  }
}
