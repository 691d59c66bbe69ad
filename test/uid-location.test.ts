import { type GatewayClient, GatewayPool } from '@gatewayworker/gateway-client'
import { expect, it, onTestFinished } from 'vitest'
import { type Cluster, useCluster } from './cluster.ts'
import { createRemoteGateway } from './remote-gateway.ts'

const cluster = useCluster({ gateways: 2, workers: 2 })

const RECEIPT = { receipt: true } as const
const ROUNDS = 1_500

/** A backend whose frames to gateways are counted. */
async function createBackend(of: Cluster): Promise<{ backend: GatewayClient; pool: GatewayPool }> {
  const pool = new GatewayPool({
    persistent: false,
    registerAddresses: [of.registerAddress].flat(),
    role: { kind: 'client' },
  })
  onTestFinished(() => pool.close())
  await pool.whenLinked(5_000)
  const backend = of.newBackend()
  backend.usePool(pool)
  return { backend, pool }
}

/** Pushes to nobody until that costs nothing. */
async function untilWatching({ backend, pool }: { backend: GatewayClient; pool: GatewayPool }): Promise<void> {
  for (let before = -1; pool.toldOrders > before; ) {
    before = pool.toldOrders
    await backend.sendToUid('nobody', '')
    await backend.isUidOnline('nobody')
  }
}

it('a uid that one process binds is found by another at once, a thousand times, wherever it moves', async () => {
  const clients = [await cluster.connect(0), await cluster.connect(1)]
  const remote = createRemoteGateway(clients[0]!)
  const backend = cluster.backend()
  for (let round = 0; round < ROUNDS; round += 1) {
    const [here, there] = round % 2 === 0 ? [backend, remote] : [remote, backend]
    // Each of them is a new uid, or one that was at the other gateway.
    const uid = `uid ${round - (round % 3)}`
    await here.bindUid(clients[round % 2]!.clientId, uid)
    expect(await there.sendToUid(uid, '', RECEIPT)).toMatchObject({ delivered: 1 })
    await here.unbindUid(clients[round % 2]!.clientId)
  }
})

it('each push is one frame, to one gateway of two', async () => {
  const clients = [await cluster.connect(0), await cluster.connect(1)]
  const counted = await createBackend(cluster)
  const { backend, pool } = counted
  await backend.bindUid(clients[0]!.clientId, 'Ann')
  await backend.bindUid(clients[1]!.clientId, 'Ben')
  await untilWatching(counted)
  const before = pool.toldOrders
  for (let round = 0; round < ROUNDS; round += 1) await backend.sendToUid(round % 2 === 0 ? 'Ann' : 'Ben', 'push')
  expect(pool.toldOrders - before).toBe(ROUNDS)
  for (let round = 0; round < ROUNDS; round += 1) expect(await clients[round % 2]!.next()).toBe('push')
})

it('a worker that stands still holds up a bindUid for 5 s at most, and finds the uid when it goes on', async () => {
  const [ann, ben] = [await cluster.connect(0), await cluster.connect(1)]
  const remote = createRemoteGateway(ann)
  for (let at = 0; at < 20; at += 1) await remote.isUidOnline('nobody') // it watches
  process.kill(ann.workerPid, 'SIGSTOP')
  const bind = async (uid: string) => {
    const began = performance.now()
    await cluster.backend().bindUid(ben.clientId, uid)
    return performance.now() - began
  }
  const found: Promise<unknown>[] = []
  try {
    expect(await bind('late')).toBeLessThan(6_000)
    expect(await bind('later')).toBeLessThan(1_000)
    found.push(remote.sendToUid('later', 'found', RECEIPT))
    await cluster.backend().isOnline(ann.clientId) // the gateway has told the worker
  } finally {
    process.kill(ann.workerPid, 'SIGCONT')
  }
  expect(await Promise.all(found)).toMatchObject([{ delivered: 1 }])
})
