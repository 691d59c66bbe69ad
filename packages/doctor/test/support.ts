import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Credentials, TlsIdentity } from '@gatewayworker/protocol'
import { announceGateway, RegisterServer, watchGateways } from '@gatewayworker/register'
import type { Examination } from '@gatewayworker/supervisor'
import { onTestFinished } from 'vitest'
import type { GatewayServer } from '../../gateway/src/index.ts'
import { linkPeer } from '../../gateway/test/support/raw-peer.ts'
import { startGateway } from '../../gateway/test/support/start-gateway.ts'
import { type ClusterLook, examineCluster } from '../src/index.ts'

/** A register; it ends with the test. */
export async function startRegister(secretKey = '', tls?: TlsIdentity): Promise<string> {
  const register = new RegisterServer({ host: '127.0.0.1', port: 0, secretKey, tls })
  const { port } = await register.start()
  onTestFinished(() => register.stop())
  return `127.0.0.1:${port}`
}

/** A gateway with a worker, once these registers list it; it ends with the test. */
export async function startServedGateway(registerAddresses: string[], secretKey = ''): Promise<GatewayServer> {
  const known = registerAddresses.length > 0 ? { registerAddresses } : {}
  const gateway = await startGateway({ ...known, secretKey })
  await linkPeer(gateway, { kind: 'worker', workerKey: 'worker:0' }, { secretKey })
  for (const register of registerAddresses) await whenListed(register, gateway.lanAddress, secretKey)
  return gateway
}

/** Announces an address, whoever is there, until the test ends; resolves when the register lists it. */
export async function announce(register: string, address: string, secretKey = '', tls?: TlsIdentity): Promise<void> {
  const announcer = announceGateway(address, { registerAddresses: [register], secretKey, tls })
  onTestFinished(() => announcer.close())
  await whenListed(register, address, secretKey, tls)
}

/** A register that says what it is told to, and `describes` itself or, as PHP's, does not. */
export async function startFakeRegister(addresses: string[], describes?: object): Promise<string> {
  return serve((socket) => {
    createInterface(socket).on('line', (line) => {
      if (JSON.parse(line).event !== 'worker_connect') return
      const answers = [{ event: 'broadcast_addresses', addresses }]
      const described = describes === undefined ? [] : [{ event: 'register_description', ...describes }]
      for (const answer of [...described, ...answers]) socket.write(`${JSON.stringify(answer)}\n`)
    })
  })
}

/** A server that does with its connections as it is told; it ends with the test. */
export async function serve(onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    onConnection(socket)
  })
  return listen(server, sockets)
}

/** Listens on a free port until the test ends. */
export async function listen(server: Server, sockets: Iterable<Socket> = []): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** An address of this host where nobody listens. */
export async function closedAddress(): Promise<string> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return `127.0.0.1:${port}`
}

/** What a worker or backend finds in the cluster of these registers. */
export function look(
  registers: string[],
  { secretKey = '', tls, ...more }: Partial<ClusterLook> & Pick<Credentials, 'secretKey' | 'tls'> = {},
): Promise<Examination> {
  return examineCluster({
    credentials: { secretKey, tls },
    isComplete: true,
    registers,
    ...more,
  })
}

/** The codes of what was found, sorted. */
export function codes({ findings }: Examination): string[] {
  return findings.map(({ code }) => code).sort()
}

function whenListed(register: string, address: string, secretKey: string, tls?: TlsIdentity): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watchGateways({ registerAddresses: [register], secretKey, tls }, (addresses) => {
      if (!addresses.includes(address)) return
      watcher.close()
      resolve()
    })
  })
}
