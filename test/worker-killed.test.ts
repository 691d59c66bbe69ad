import { describe, expect, it } from 'vitest'
import { startCluster, useCluster } from './cluster.ts'
import type { TestClient } from './test-client.ts'

/** However long a start may take on a busy machine. */
const patience = ['--no-worker-timeout', '30']

interface Echo {
  count: number
  echo: string
  workerPid: number
}

async function echo(client: TestClient, text: string): Promise<Echo> {
  client.send(text)
  return nextEcho(client, text)
}

/** The next answer; that to the last message before the kill, which may be delivered and answered again, is passed over. */
async function nextEcho(client: TestClient, text: string): Promise<Echo> {
  for (;;) {
    const { redelivered, ...answer } = (await client.nextJson()) as Echo & { redelivered?: true }
    if (answer.echo === text || !redelivered) return answer
  }
}

describe('when one of two workers is killed', () => {
  const cluster = useCluster({ events: 'idempotent.ts', gateways: 2, workers: 2 })

  it('its clients stay, and are served by another with the sessions they had', async () => {
    const clients = await Promise.all([0, 0, 1, 1].map((gateway) => cluster.connect(gateway)))
    const pids = new Set(clients.map(({ workerPid }) => workerPid))
    expect(pids.size).toBe(2)
    for (const client of clients) expect(await echo(client, 'one')).toMatchObject({ count: 1 })

    const killed = cluster.workers.child(0).pid
    const gone = cluster.gateways.map((gateway) => gateway.next({ msg: 'worker gone' }))
    const linked = cluster.gateways.map((gateway) => gateway.next({ msg: 'worker linked' }))
    const revived = cluster.workers.killChild(0)
    await Promise.all(gone)
    for (const client of clients) {
      const answer = await echo(client, 'two')
      expect(answer).toMatchObject({ count: 2, echo: 'two' })
      expect(answer.workerPid).not.toBe(killed)
    }

    const { pid } = await revived
    await Promise.all(linked)
    const newcomers = await Promise.all([0, 0, 1, 1].map((gateway) => cluster.connect(gateway)))
    expect(newcomers.map(({ workerPid }) => workerPid)).toContain(pid)
  })

  it('says so in the log, with the signal', async () => {
    const line = cluster.workers.next({ process: 'BusinessWorker', index: 1, signal: 'SIGKILL' })
    const linked = cluster.gateways.map((gateway) => gateway.next({ msg: 'worker linked' }))
    const { pid } = cluster.workers.child(1)
    await cluster.workers.killChild(1)
    expect(await line).toMatchObject({ exitedPid: pid, level: 'error' })
    await Promise.all(linked)
  })
})

describe('when the only worker is killed', () => {
  it('what clients say meanwhile is handled when it is back, in order', async () => {
    const cluster = await startCluster({ events: 'idempotent.ts', gatewayArgs: patience })
    const [ann, ben] = [await cluster.connect(), await cluster.connect()]
    expect(await echo(ann, 'before')).toMatchObject({ count: 1 })

    const gone = cluster.gateways[0]!.next({ msg: 'worker gone' })
    const revived = cluster.workers.killChild()
    await gone
    for (const text of ['a', 'b', 'c']) ann.send(text)
    ben.send('d')
    const { pid } = await revived
    const answers = [await nextEcho(ann, 'a'), await nextEcho(ann, 'b'), await nextEcho(ann, 'c')]
    expect(answers).toEqual([
      { count: 2, echo: 'a', workerPid: pid },
      { count: 3, echo: 'b', workerPid: pid },
      { count: 4, echo: 'c', workerPid: pid },
    ])
    expect(await nextEcho(ben, 'd')).toEqual({ count: 1, echo: 'd', workerPid: pid })
  })

  it('clients that leave or come meanwhile have their onClose and onConnect when it is back', async () => {
    const cluster = await startCluster({ events: 'every-event.ts', gatewayArgs: patience })
    const [watcher, ann] = [await cluster.open(), await cluster.open()]
    watcher.send('watch')
    await watcher.next()
    ann.send('replace Ann')
    ann.send('echo served')
    await ann.next()

    const gone = cluster.gateways[0]!.next({ msg: 'worker gone' })
    const revived = cluster.workers.killChild()
    await gone
    await ann.close()
    const ben = await cluster.open()
    await revived
    expect(await watcher.nextJson()).toMatchObject({ session: { word: 'Ann' } })
    ben.send('session')
    expect(await ben.nextJson()).toEqual({ events: ['onConnect', 'onWebSocketConnect'] })
    watcher.send('echo nothing more')
    expect(await watcher.next()).toBe('nothing')
  })
})

describe('without a worker', () => {
  it('a client waits for one', async () => {
    const cluster = await startCluster({ gatewayArgs: patience, workers: 0 })
    const client = await cluster.open()
    client.send('early')
    await cluster.startWorkers()
    const { clientId, workerPid } = await client.nextJson()
    expect(clientId).toMatch(/^[0-9a-f]{20}$/)
    expect(await client.nextJson()).toEqual({ count: 1, echo: 'early', workerPid })
  })

  it('a client that has waited for too long is closed with 1013', async () => {
    const cluster = await startCluster({ gatewayArgs: ['--no-worker-timeout', '0.2'], workers: 0 })
    const client = await cluster.open()
    expect(await client.isClosed()).toEqual({ code: 1013, reason: 'no worker' })
    await cluster.gateways[0]!.line({ msg: 'no worker came for a client; it is closed' })
  })
})
