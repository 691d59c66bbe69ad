import { networkInterfaces } from 'node:os'
import { Command, msgpack } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { linkPhpWorker } from './support/php-peer.ts'
import { linkWorker } from './support/raw-peer.ts'
import { startGateway } from './support/start-gateway.ts'
import { TestClient } from './support/test-client.ts'

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

const suite = hasIpv6 ? 'a client of IPv6:' : 'a client of IPv6 (skipped: not possible here: this host has no ::1)'
if (!hasIpv6) console.warn(suite)

describe.skipIf(!hasIpv6)(suite, () => {
  test('our workers are told its address', async () => {
    const gateway = await startGateway({ clientHost: '::' })
    const { port } = gateway.address
    expect(gateway.address.host).toBe('::')
    const worker = await linkWorker(gateway)
    const client = new TestClient(`ws://[::1]:${port}/`)
    const { body } = await worker.next(Command.CLIENT_CONTEXT)
    expect(msgpack.decode(body)).toMatchObject({ gatewayPort: port, remoteAddress: '::1' })
    const handshake = msgpack.decode((await worker.next(Command.ON_WEBSOCKET_CONNECT)).body)
    expect(handshake).toMatchObject({ server: { REMOTE_ADDR: '::1' } })
    expect(gateway.connections({ limit: 9, offset: 0 }).rows).toMatchObject([
      { address: expect.stringMatching(/^\[::1\]:\d+$/) },
    ])
    expect(gateway.connections({ ip: '::1', limit: 9, offset: 0 }).total).toBe(1)
    client.close()
    await client.closed
  })

  test('PHP is told 0', async () => {
    const gateway = await startGateway({ clientHost: '::' })
    const php = await linkPhpWorker(gateway)
    const client = new TestClient(`ws://[::1]:${gateway.address.port}/`)
    const event = await php.event()
    expect(event).toMatchObject({ clientIp: 0, cmd: Command.ON_CONNECT, gatewayPort: gateway.address.port })
    expect(event.clientPort).toBeGreaterThan(0)
    expect((await php.event()).body).toContain('s:11:"REMOTE_ADDR";s:3:"::1"')
    client.close()
    await client.closed
  })
})
