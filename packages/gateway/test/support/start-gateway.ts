import { onTestFinished } from 'vitest'
import { GatewayServer, type GatewayServerOptions } from '../../src/index.ts'

/** Nothing listens there: most tests link to a gateway directly. */
const NO_REGISTER = '127.0.0.1:1'

/** A running gateway on free ports; it stops with the test. */
export async function startGateway(options: Partial<GatewayServerOptions> = {}): Promise<GatewayServer> {
  const gateway = new GatewayServer({
    clientHost: '127.0.0.1',
    clientPort: 0,
    registerAddresses: [NO_REGISTER],
    ...options,
  })
  await gateway.start()
  onTestFinished(() => gateway.stop())
  return gateway
}
