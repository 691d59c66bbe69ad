import { GatewayUnavailableError } from '@gatewayworker/gateway-client'
import { describe, expect, it } from 'vitest'
import { useCluster } from './cluster.ts'
import { RawConnection } from './raw-connection.ts'
import type { TestClient } from './test-client.ts'

describe('when one of two gateways is killed', () => {
  const cluster = useCluster({ gateways: 2, workers: 2 })

  it('only its own clients lose their connection, and it comes back', async () => {
    const [ann, ben] = [await cluster.connect(0), await cluster.connect(1)]
    const backend = cluster.backend()
    await backend.joinGroup(ann.clientId, 'lost')
    await backend.joinGroup(ben.clientId, 'kept')
    expect((await backend.getAllGroupIdList()).sort()).toEqual(['kept', 'lost'])

    const linked = cluster.gateways[0]!.next({ msg: 'worker linked', workers: 2 })
    const offline = cluster.register.next({ msg: 'gateway offline', gateway: cluster.gateways[0]!.child().lan })
    const revived = cluster.gateways[0]!.killChild()
    expect(await ann.isClosed()).toEqual({ code: 1006, reason: '' })
    ben.send('unaffected')
    expect(await ben.nextJson()).toMatchObject({ echo: 'unaffected' })
    await offline
    expect(await backend.getAllGroupIdList()).toEqual(['kept'])
    expect(await backend.isOnline(ann.clientId)).toBe(false)
    await backend.sendToClient(ann.clientId, 'for nobody')

    await revived
    await linked
    const again = await cluster.connect(0)
    expect(await backend.sendToAll('all', null, null, { receipt: true })).toMatchObject({ delivered: 2 })
    expect(await again.next()).toBe('all')
    expect(await ben.next()).toBe('all')
    again.send('back')
    expect(await again.nextJson()).toMatchObject({ echo: 'back', count: 1 })
  })

  it('a gateway that hangs is named by whoever waits for it, together with what the others said', async () => {
    const [ann, ben] = [await cluster.connect(0), await cluster.connect(1)]
    const backend = cluster.newBackend({ deadlineMs: 1000 })
    await backend.bindUid(ann.clientId, 'here')
    await backend.bindUid(ben.clientId, 'stuck')
    expect((await backend.getAllUidList()).sort()).toEqual(['here', 'stuck'])

    const { lan, pid } = cluster.gateways[1]!.child()
    process.kill(pid, 'SIGSTOP')
    try {
      const error = await backend.getAllUidList().catch((error) => error)
      expect(error).toBeInstanceOf(GatewayUnavailableError)
      expect(error).toMatchObject({ code: 'GATEWAY_UNAVAILABLE', missing: [lan], partial: ['here'] })
      expect(await backend.sendToUid(['here', 'stuck'], 'text', { receipt: true })).toEqual({
        delivered: 1,
        slow: 0,
        unanswered: [lan],
      })
      expect(await backend.isOnline(ann.clientId)).toBe(true)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    // It did what it was asked to, late.
    expect(await ben.next()).toBe('text')
    expect((await cluster.backend().getAllUidList()).sort()).toEqual(['here', 'stuck'])
  })
})

describe('gateways that share a port', () => {
  const cluster = useCluster({ gatewayArgs: ['--count', '2'] })

  it('both get clients, and when one is killed the clients of the other stay', async () => {
    const gateway = cluster.gateways[0]!
    expect(gateway.child(0).listen).toBe(gateway.child(1).listen)
    const lanPorts = [0, 1].map((index) => Number(String(gateway.child(index).lan).split(':')[1]))
    const lanPortOf = ({ clientId }: TestClient) => Number.parseInt(clientId.slice(8, 12), 16)
    const open20 = () => Promise.all(Array.from({ length: 20 }, () => cluster.connect()))
    const clients = await open20()
    expect(new Set(clients.map(lanPortOf))).toEqual(new Set(lanPorts))

    const revived = gateway.killChild(0)
    const [lost, kept] = lanPorts.map((lanPort) => clients.filter((client) => lanPortOf(client) === lanPort))
    for (const client of lost!) expect(await client.isClosed()).toMatchObject({ code: 1006 })
    for (const client of kept!) {
      client.send('there')
      expect(await client.nextJson()).toMatchObject({ echo: 'there' })
    }
    const { lan, listen } = await revived
    expect(listen).toBe(gateway.child(1).listen)
    const newLanPort = Number(String(lan).split(':')[1])
    expect(new Set((await open20()).map(lanPortOf))).toEqual(new Set([newLanPort, lanPorts[1]]))
  })

  it('a connection that was on its way to the one that is killed ends with it', async () => {
    const gateway = cluster.gateways[0]!
    const { pid } = gateway.child(0)
    process.kill(pid, 'SIGSTOP')
    const port = new URL(cluster.url()).port
    // They take turns, so one of two is for the process that stands still.
    const connections = await Promise.all([RawConnection.open(port), RawConnection.open(port)])
    const ended = Promise.race(connections.map((connection) => connection.isEnded()))
    // The other one has had its turn, too, when a client that came later is greeted.
    await cluster.connect()
    await gateway.killChild(0)
    expect(await ended).toEqual(Buffer.alloc(0))
    for (const { socket } of connections) socket.destroy()
  })
})
