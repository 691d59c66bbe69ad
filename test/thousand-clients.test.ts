import { expect, it } from 'vitest'
import { startCluster } from './cluster.ts'
import { RawConnection } from './raw-connection.ts'

const CLIENTS = 1000
const BROADCASTS = 20
const CLIENTS_AT_ONCE = 50
const CLIENTS_IN_QUEUE = 700

it('a thousand clients come, hear everything once and in order, and leave nothing behind', {
  timeout: 60_000,
}, async () => {
  const cluster = await startCluster({ events: 'every-event.ts', gateways: 2, workers: 2 })
  const backend = cluster.backend()
  const watcher = await cluster.open()
  watcher.send('watch')
  await watcher.next()
  const [watcherId] = await backend.getAllClientIdList()

  const clients = []
  while (clients.length < CLIENTS) {
    clients.push(...(await Promise.all(Array.from({ length: CLIENTS_AT_ONCE }, (_, index) => cluster.open(index % 2)))))
  }
  const ids = (await backend.getAllClientIdList()).filter((clientId) => clientId !== watcherId)
  expect(new Set(ids).size).toBe(CLIENTS)

  await Promise.all(ids.map((clientId, index) => backend.bindUid(clientId, `user ${index % 500}`)))
  await Promise.all(ids.map((clientId) => backend.joinGroup(clientId, 'everybody')))
  await Promise.all(ids.filter((_, index) => index % 2 === 0).map((clientId) => backend.joinGroup(clientId, 'even')))
  expect(await backend.getAllUidCount()).toBe(500)
  expect(Object.fromEntries(await backend.getAllGroupClientIdCount())).toEqual({
    even: CLIENTS / 2,
    everybody: CLIENTS,
    watchers: 1,
  })

  // All under way at once.
  const numbers = Array.from({ length: BROADCASTS }, (_, number) => number)
  const receipts = numbers.map((number) => backend.sendToGroup('everybody', `${number}`, null, { receipt: true }))
  const delivered = { delivered: CLIENTS, slow: 0, unanswered: [] }
  expect(await Promise.all(receipts)).toEqual(numbers.map(() => delivered))
  // An answer of the worker's is the last thing in every inbox.
  for (const client of clients) client.send('echo end')
  for (const client of clients) {
    expect(await client.take(BROADCASTS + 1)).toEqual([...numbers.map(String), 'end'])
    expect(client.waiting).toBe(0)
  }

  await Promise.all(clients.map((client, index) => (index % 2 === 0 ? client.close() : client.socket.terminate())))
  const gone = new Set<string>()
  while (gone.size < CLIENTS) {
    const { closed } = await watcher.nextJson()
    expect(gone).not.toContain(closed)
    gone.add(closed)
  }
  expect([...gone].sort()).toEqual(ids.sort())
  expect(await backend.getAllClientIdList()).toEqual([watcherId])
  expect(await backend.getAllUidList()).toEqual([])
  expect(await backend.getAllGroupIdList()).toEqual(['watchers'])
})

it.runIf(process.platform === 'linux')(
  'more clients than Node has room for by itself come at once, while nobody is accepted',
  async () => {
    const cluster = await startCluster()
    const port = new URL(cluster.url()).port
    const { pid } = cluster.gateways[0]!.child()
    process.kill(pid, 'SIGSTOP')
    try {
      const connections = await Promise.all(Array.from({ length: CLIENTS_IN_QUEUE }, () => RawConnection.open(port)))
      for (const { socket } of connections) socket.destroy()
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  },
)
