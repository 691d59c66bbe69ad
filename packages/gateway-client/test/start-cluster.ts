import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Command, type Log, silentLog } from '@gatewayworker/protocol'
import { announceGateway, RegisterServer, type Watcher, watchGateways } from '@gatewayworker/register'
import { onTestFinished } from 'vitest'
import type { GatewayServer } from '../../gateway/src/index.ts'
import { linkWorker, type RawPeer } from '../../gateway/test/support/raw-peer.ts'
import { startGateway } from '../../gateway/test/support/start-gateway.ts'
import { connectClient, type TestClient } from '../../gateway/test/support/test-client.ts'
import { GatewayClient, type GatewayClientOptions } from '../src/index.ts'

interface ConnectedClient extends TestClient {
  clientId: string
}

/** A register and gateways, each with a worker that does nothing, all in this process. */
export interface Cluster {
  readonly gateways: GatewayServer[]
  readonly registerAddress: string
  readonly workers: RawPeer[]
  /** A client of the nth gateway. */
  connect(nth?: number): Promise<ConnectedClient>
  /** A push client of its own; it is closed with the test. */
  push(options?: GatewayClientOptions): GatewayClient
}

/** A register; it stops with the test. */
export async function startRegister(secretKey = '', port = 0): Promise<{ address: string; stop(): Promise<void> }> {
  const register = new RegisterServer({ host: '127.0.0.1', port, secretKey })
  const { port: boundPort } = await register.start()
  onTestFinished(() => register.stop())
  return { address: `127.0.0.1:${boundPort}`, stop: () => register.stop() }
}

/** Starts a cluster; it ends with the test. */
export async function startCluster({
  gateways: count = 1,
  log = silentLog as Log,
  secretKey = '',
} = {}): Promise<Cluster> {
  const { address } = await startRegister(secretKey)
  const gateways: GatewayServer[] = []
  for (let at = 0; at < count; at += 1) {
    gateways.push(await startGateway({ log, registerAddresses: [address], secretKey }))
  }
  const workers = secretKey === '' ? await Promise.all(gateways.map((gateway) => linkWorker(gateway))) : []
  const cluster: Cluster = {
    gateways,
    registerAddress: address,
    workers,
    async connect(nth = 0) {
      const client = await connectClient(gateways[nth]!)
      const { connectionId } = await workers[nth]!.next(Command.ON_WEBSOCKET_CONNECT)
      return Object.assign(client, { clientId: workers[nth]!.clientId(connectionId) })
    },
    push(options = {}) {
      const push = new GatewayClient({ registerAddress: address, secretKey, ...options })
      onTestFinished(() => push.close())
      return push
    },
  }
  await whenListed(address, count, secretKey)
  return cluster
}

/** Resolves when the register knows so many gateways. */
export async function whenListed(registerAddress: string, count: number, secretKey = ''): Promise<void> {
  let watcher: Watcher | undefined
  await new Promise<void>((resolve) => {
    watcher = watchGateways({ registerAddresses: [registerAddress], secretKey }, (addresses) => {
      if (addresses.length === count) resolve()
    })
  })
  watcher?.close()
}

/** A gateway is announced at a register where nothing listens; until the test ends. Resolves with its address. */
export async function announceDeadGateway(registerAddress: string): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  server.close()
  const announcer = announceGateway(address, { registerAddresses: [registerAddress] })
  onTestFinished(() => announcer.close())
  return address
}
