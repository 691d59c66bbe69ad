import { examineCluster } from '@gatewayworker/doctor'
import { GatewayServer, type GatewayServerOptions } from '@gatewayworker/gateway'
import {
  type AppContext,
  defineApp,
  explainRefusal,
  formatAddress,
  readCredentials,
  runIfMain,
  UsageError,
} from '@gatewayworker/supervisor'
import { answerDeadLetters } from './dead-letters.ts'
import { examineOptions } from './examine-options.ts'
import { gatewayOptions } from './gateway-options.ts'
import { findLanIp } from './lan-ip.ts'
import { loadProtocol } from './load-protocol.ts'
import { loadRouter } from './load-router.ts'
import { readJwtOptions } from './read-jwt-options.ts'
import { readSslFiles, type SslFiles, sslFilesFor, watchSslFiles } from './ssl-files.ts'

/** The part of the time for a stop that is for workers to handle what has happened. */
const WORKERS_SHARE = 0.8

/** The gateway processes: they hold the clients' connections. */
const app = defineApp({
  command: 'start_gateway',
  describe: 'Starts gateways, which hold the connections of clients.',
  module: import.meta.url,
  name: 'Gateway',
  options: gatewayOptions,
  ports: ({ 'lan-ip': lanIp, 'lan-listen': lanListen, listen, 'start-port': startPort }, index) => [
    { host: listen.host, hostOption: '--listen', port: listen.port, portOption: '--listen' },
    {
      // Which address of this host it is going to be is not known yet.
      host: lanListen ?? lanIp ?? '0.0.0.0',
      hostOption: '--lan-ip or --lan-listen',
      port: lanPort(startPort, index),
      portOption: '--start-port',
    },
  ],
  sharedListen: ({ listen }) => formatAddress(listen),
  examine: examineOptions,
  async start(options, context) {
    const { scheme } = options.listen
    const sslFiles = sslFilesFor(scheme, options['ssl-cert'], options['ssl-key'], options['ssl-passphrase'])
    const server = createServer({
      ...readCredentials(options, context.index === 0 ? context.log : undefined),
      allowOrigins: options['allow-origin'],
      byteRate: options['byte-rate'],
      clientHost: options.listen.host,
      clientPort: options.listen.port,
      compression: options.compression,
      connectionRate: options['connection-rate'],
      deadLetterFile: options['dead-letter-file'],
      exemptAddresses: options['exempt-address'],
      forwardingHeader: options['forwarding-header'],
      handshakeTimeoutMs: options['handshake-timeout'] * 1000,
      idleTimeoutMs: options['idle-timeout'] * 1000,
      isolationTimeoutMs: options['isolation-timeout'] * 1000,
      jwt: readJwtOptions(options),
      lanHost: options['lan-listen'],
      lanIp: await findLanIp({
        isBoundElsewhere: options['lan-listen'] !== undefined,
        lanIp: options['lan-ip'],
        registerAddresses: options['register-address'],
      }),
      lanPort: lanPort(options['start-port'], context.index),
      linkTimeoutMs: options['link-timeout'] * 1000,
      log: context.log,
      maxBufferedBytes: options['max-buffered-bytes'],
      maxConnections: options['max-connections'],
      maxConnectionsPerAddress: options['max-connections-per-address'],
      maxPayloadBytes: options['max-payload'],
      messageRate: options['message-rate'],
      messageTimeoutMs: options['message-timeout'] * 1000,
      noWorkerTimeoutMs: options['no-worker-timeout'] * 1000,
      pingData: options['ping-data'],
      pingIntervalS: options['ping-interval'],
      pingNotResponseLimit: options['ping-not-response-limit'],
      poisonLimit: options['poison-limit'],
      protocol: await loadProtocol(scheme, options.protocol, context),
      proxyProtocol: options['proxy-protocol'],
      ratePolicy: options['rate-policy'],
      registerAddresses: options['register-address'],
      router: await loadRouter(options.router, context),
      sendToClientBufferSizeBytes: options['send-to-client-buffer-size'],
      clientWindow: options['client-window'],
      clientWindowBytes: options['client-window-size'],
      sendToWorkerBufferSizeBytes: options['send-to-worker-buffer-size'],
      slowClientPolicy: options['slow-client-policy'],
      sse: options.sse,
      ssl: sslFiles && readSslFiles(sslFiles),
      trustedProxies: options['trusted-proxy'],
    })
    await server.start().catch(explainRefusal)
    if (sslFiles !== undefined) watchSslFiles(sslFiles, () => renewCertificate(server, sslFiles, context.log))
    return {
      connections(query) {
        const { rows, total } = server.connections(query)
        return { rows: rows.map((row) => ({ ...row, gateway: server.lanAddress })), total }
      },
      deadLetters: (query) => answerDeadLetters(server, query),
      details: { lan: server.lanAddress },
      examine: () =>
        examineCluster({
          credentials: readCredentials(options),
          isComplete: true,
          own: { instance: server.instance, lanAddress: server.lanAddress },
          registers: options['register-address'],
        }),
      listen: `${scheme}://${formatAddress(server.address)}`,
      problems: () => server.problems(),
      stats: () => server.stats(),
      stop: (timeoutMs) => server.stop(timeoutMs * WORKERS_SHARE),
    }
  },
})

function renewCertificate(server: GatewayServer, sslFiles: SslFiles, log: AppContext['log']): void {
  const { cert, key } = sslFiles
  try {
    server.renewCertificate(readSslFiles(sslFiles))
    log.info({ cert }, 'new clients are shown the new certificate')
  } catch (err) {
    log.warn({ cert, err, key }, 'the certificate has changed, but cannot be used with the key; the old one stays')
  }
}

/** What is wrong with the options together is the user's business, and no stack's. */
function createServer(options: GatewayServerOptions): GatewayServer {
  try {
    return new GatewayServer(options)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** Each process of a group has a LAN port of its own; 0 stays any free one. */
function lanPort(startPort: number, index: number): number {
  return startPort === 0 ? 0 : startPort + index
}

export type { ClientProtocol, ProtocolConnection } from '@gatewayworker/gateway'
export default app
await runIfMain(app)
