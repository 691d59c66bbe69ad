import {
  createInstanceId,
  credentialsOf,
  DEFAULT_MAX_FRAME_BYTES,
  type GatewayDescription,
  gatewayKey,
  type Hello,
  type Link,
  type LinkHandler,
  LinkListener,
  type Log,
  RepeatedWarnings,
  version,
  withTimes,
} from '@gatewayworker/protocol'
import { type Announcer, announceGateway } from '@gatewayworker/register'
import type { Refusal } from './access/admission.ts'
import { Doorkeeper } from './access/doorkeeper.ts'
import { type ClientQuery, type ClientRow, listClients } from './census.ts'
import { type ClientConnection, type ClientCounters, PauseReason } from './client-connection.ts'
import { type ClientAcceptor, ClientPort, type Reception } from './client-port.ts'
import { Clientele } from './clientele.ts'
import { type CommandSurroundings, carryOut } from './commands.ts'
import type { EventCounters } from './crashes.ts'
import { type DeadLetter, DeadLetterFile, describeDeadLetter } from './dead-letters.ts'
import { connectionsWithinLimit, warnOfFewConnections } from './descriptors.ts'
import { Hub } from './hub.ts'
import { Isolation } from './isolation.ts'
import { GATEWAY_DEFAULTS, type GatewayServerOptions, type GatewaySettings } from './options.ts'
import { Reachability } from './reachability.ts'
import { BUILT_IN_ROUTERS } from './router.ts'
import { StreamAcceptor } from './stream-acceptor.ts'
import { STREAM_PROTOCOLS, streamProtocolOf } from './stream-protocol.ts'
import type { SslOptions } from './tls-layer.ts'
import { UidWatchers } from './uid-watchers.ts'
import { WebSocketAcceptor } from './websocket-acceptor.ts'
import { WorkerPool } from './worker-pool.ts'

/** Linux takes no longer time (tcp(7), TCP_KEEPIDLE). */
const MAX_KEEP_ALIVE_MS = 32_767_000
/** What a message travels with to its worker, at most. */
const FRAME_MARGIN_BYTES = 1024

/** What a gateway process does, in counts. */
export interface GatewayStats extends EventCounters, Omit<ClientCounters, 'receivedMessages' | 'sentMessages'> {
  /** Bytes that wait to be sent, to clients and workers. */
  bufferedBytes: number
  connections: number
  /** Clients that are not read at the moment, because their worker takes no more or they have sent too much. */
  pausedClients: number
  /** Connections that were not let in, by the reason. */
  refused: Readonly<Record<Refusal, number>>
  /** Connections that were not let in. */
  refusedConnections: number
  /** Messages that came from clients. */
  requests: number
  /** Messages that went to clients. */
  sends: number
}

/**
 * A gateway process: holds clients, hands their events to workers, and obeys what workers and backends say about them.
 *
 * ```
 * start: LAN port listens ─▶ client port listens ─▶ announced at every register
 * stop:  withdrawn, clients not read ─▶ what they said is handled ─▶ clients closed (1001) ─▶ their onClose is handled ─▶ links ended
 * ```
 */
export class GatewayServer {
  readonly #clients: Clientele
  readonly #commands: CommandSurroundings
  readonly #deadLetters: DeadLetterFile
  readonly #doorkeeper: Doorkeeper
  readonly #hub: Hub<ClientConnection>
  readonly #listener: LinkListener
  readonly #log: Log
  readonly #options: GatewaySettings
  readonly #port: ClientPort
  readonly #uidWatchers: UidWatchers
  /** About backends, of which PHP makes a link for every call. */
  readonly #warnings: RepeatedWarnings
  readonly #workers: WorkerPool
  #announcer: Announcer | undefined
  #instance = createInstanceId()
  #isolation: Isolation | undefined
  #lanAddress = ''
  #reachability: Reachability | undefined

  constructor(options: GatewayServerOptions) {
    const settings: GatewaySettings = withTimes({ ...GATEWAY_DEFAULTS, ...withoutUndefined(options) })
    const { lanHost, lanIp, lanPort, log, maxPayloadBytes, router } = settings
    if (maxPayloadBytes > DEFAULT_MAX_FRAME_BYTES - FRAME_MARGIN_BYTES) {
      throw new RangeError(`maxPayloadBytes may be ${DEFAULT_MAX_FRAME_BYTES - FRAME_MARGIN_BYTES} at most`)
    }
    if (settings.protocol !== 'websocket' && (settings.jwt !== undefined || settings.allowOrigins.length > 0)) {
      throw new TypeError('tokens and origins come with the handshake of a WebSocket, and other protocols have none')
    }
    this.#deadLetters = new DeadLetterFile(settings.deadLetterFile, log)
    this.#options = settings
    this.#log = log
    this.#warnings = new RepeatedWarnings(log)
    this.#workers = new WorkerPool({
      bufferSizeBytes: settings.sendToWorkerBufferSizeBytes,
      clientWindow: settings.clientWindow,
      clientWindowBytes: settings.clientWindowBytes,
      log,
      noWorkerTimeoutMs: settings.noWorkerTimeoutMs,
      onDeadLetter: (...letter) => this.#deadLetters.add(describeDeadLetter(...letter)),
      poisonLimit: settings.poisonLimit,
      router: typeof router === 'function' ? router : BUILT_IN_ROUTERS[router],
    })
    this.#uidWatchers = new UidWatchers(() => this.#hub)
    this.#hub = new Hub(undefined, this.#uidWatchers)
    this.#clients = new Clientele({ hub: this.#hub, settings, uidWatchers: this.#uidWatchers, workers: this.#workers })
    this.#commands = {
      describe: this.#describe,
      hub: this.#hub,
      log,
      uidWatchers: this.#uidWatchers,
      workers: this.#workers,
    }
    this.#listener = new LinkListener({
      ...credentialsOf(settings),
      bufferSizeBytes: settings.sendToWorkerBufferSizeBytes,
      host: lanHost ?? lanIp,
      instance: this.#instance,
      lanIp,
      linkTimeoutMs: settings.linkTimeoutMs,
      log,
      onLink: this.#onLink,
      port: lanPort,
      secretKey: settings.secretKey,
    })
    const maxConnections = connectionsWithinLimit(settings.maxConnections)
    this.#doorkeeper = new Doorkeeper({ ...settings, maxConnections }, log)
    this.#port = new ClientPort({
      createAcceptor: (reception) => this.#createAcceptor(reception),
      doorkeeper: this.#doorkeeper,
      handshakeTimeoutMs: settings.handshakeTimeoutMs,
      host: settings.clientHost,
      keepAliveMs: Math.min(settings.idleTimeoutMs / 2, MAX_KEEP_ALIVE_MS),
      log,
      port: settings.clientPort,
      prepare: this.#clients.prepare,
      ssl: settings.ssl,
    })
  }

  /** Where clients connect. */
  get address(): { host: string; port: number } {
    return this.#port.address
  }

  get clientCount(): number {
    return this.#hub.size
  }

  /** A random name of this process, which whoever links to it is told. */
  get instance(): string {
    return this.#instance
  }

  /** The announced "IPv4:port". */
  get lanAddress(): string {
    return this.#lanAddress
  }

  /** Its clients that fit a query. */
  connections(query: ClientQuery): { rows: ClientRow[]; total: number } {
    return listClients(this.#hub, query)
  }

  /** Why others cannot find or reach it, in words; none if they can. Takes less than a second. */
  async problems(): Promise<string[]> {
    return this.#reachability?.problems() ?? ['it has not started']
  }

  /** What there is now, and what happened since the start. */
  stats(): GatewayStats {
    let bufferedBytes = this.#workers.bufferedBytes
    let pausedClients = 0
    for (const client of this.#hub.members()) {
      bufferedBytes += client.bufferedBytes
      if (client.isPaused) pausedClients += 1
    }
    const { receivedMessages, sentMessages, ...counters } = this.#clients.counters
    const refused = this.#doorkeeper.refusals.counts
    return {
      bufferedBytes,
      connections: this.#hub.size,
      pausedClients,
      refused,
      refusedConnections: Object.values(refused).reduce((sum, count) => sum + count, 0),
      requests: receivedMessages,
      sends: sentMessages,
      ...counters,
      ...this.#workers.counters,
    }
  }

  /**
   * Listens and announces itself. Rejects with the system's error if a port cannot be had, or BAD_REGISTER_ADDRESS; then it listens nowhere.
   */
  async start(): Promise<void> {
    const { lanIp, linkTimeoutMs, log, registerAddresses } = this.#options
    const credentials = credentialsOf(this.#options)
    const { port } = await this.#listener.listen()
    process.on('unhandledRejection', this.#onUnhandledRejection)
    this.#lanAddress = `${lanIp}:${port}`
    try {
      this.#clients.gatewayKey = gatewayKey(this.#lanAddress)
      await this.#port.listen()
      this.#announcer = announceGateway(this.#lanAddress, { ...credentials, linkTimeoutMs, log, registerAddresses })
    } catch (error) {
      this.#port.close()
      process.off('unhandledRejection', this.#onUnhandledRejection)
      await this.#listener.close()
      throw error
    }
    this.#reachability = new Reachability({
      credentials,
      instance: () => this.#instance,
      lanAddress: this.#lanAddress,
      registerAddresses,
    })
    this.#isolation = new Isolation({
      isCutOff: () => this.#workers.areCutOff && this.#announcer?.isCutOff === true,
      onIsolated: this.#onIsolated,
      timeoutMs: this.#options.isolationTimeoutMs,
    })
    this.#clients.start()
    warnOfFewConnections(this.#options.maxConnections, this.#log)
  }

  /** Events that were given up and not delivered again since, the oldest first. Throws the system's error if their file cannot be read. */
  deadLetters(): DeadLetter[] {
    return this.#deadLetters.list()
  }

  /**
   * Delivers an event that was given up once more. Throws BAD_PARAMETERS if it was one of another gateway's client or its client is connected, or the
   * system's error if its file cannot be written.
   */
  replay(letter: DeadLetter): void {
    this.#clients.replay(letter)
    this.#deadLetters.markReplayed(letter)
    this.#log.info({ messageId: letter.messageId }, 'a dead letter is delivered again')
  }

  /** New connections are shown this certificate. Throws, and changes nothing, if it and the key do not go together. */
  renewCertificate(ssl: SslOptions): void {
    this.#port.renewCertificate(ssl)
  }

  /** Lets workers handle what clients have said, says goodbye to every client, lets the workers know, and ends; they may take `timeoutMs`. */
  async stop(timeoutMs: number = this.#options.stopTimeoutMs): Promise<void> {
    const withdrawn = this.#announcer?.close()
    this.#isolation?.close()
    this.#clients.stop()
    this.#port.close()
    for (const client of this.#hub.members()) client.pauseReading(PauseReason.GATEWAY_STOPS)
    await this.#workers.whenSettled(timeoutMs / 2) // and what came of it has been sent
    this.#clients.closeAll('gateway stops', 'gateway_stopped')
    await this.#workers.whenSettled(timeoutMs / 2)
    await withdrawn
    await this.#listener.close()
    this.#warnings.close()
    process.off('unhandledRejection', this.#onUnhandledRejection)
  }

  /** A router or protocol of the user's has let go of a promise: no reason for all clients to be cut off. */
  readonly #onUnhandledRejection = (err: unknown): void => {
    this.#log.error({ err }, 'unhandled promise rejection')
  }

  /** Workers give up a gateway that is cut off, and its clients: it does so too, and starts over as if it were another process. */
  readonly #onIsolated = (): void => {
    this.#log.warn(
      { clients: this.#hub.size },
      'neither a worker nor a register can be reached: all clients are closed',
    )
    this.#clients.closeAll('gateway is cut off', 'gateway_lost')
    this.#workers.orphanUnserved()
    this.#instance = createInstanceId()
    this.#listener.instance = this.#instance
  }

  #createAcceptor(reception: Reception): ClientAcceptor {
    const { allowOrigins, compression, log, maxPayloadBytes, protocol, sse } = this.#options
    const { onClient } = this.#clients
    if (protocol === 'websocket') {
      const areOriginsListed = allowOrigins.length > 0
      return new WebSocketAcceptor({ areOriginsListed, compression, maxPayloadBytes, onClient, reception, sse })
    }
    const streamProtocol = typeof protocol === 'string' ? STREAM_PROTOCOLS[protocol] : streamProtocolOf(protocol)
    return new StreamAcceptor({ log, maxPayloadBytes, onClient, protocol: streamProtocol, reception })
  }

  readonly #onLink = (link: Link, hello: Hello): LinkHandler => {
    if (hello.role.kind === 'client') return this.#backendHandler
    const worker = this.#workers.add(link, hello)
    return {
      onFrame: this.#onFrame,
      onDrain: () => this.#workers.serveLine(worker),
      onClose: () => {
        this.#uidWatchers.forget(link)
        this.#workers.remove(worker)
      },
    }
  }

  readonly #backendHandler: LinkHandler = {
    onFrame: (frame, link) => this.#onFrame(frame, link),
    // One that asks and does not listen is not asked what else it wants.
    onFull: (link) => link.pause(),
    onDrain: (link) => link.resume(),
    onClose: (link, error) => {
      this.#uidWatchers.forget(link)
      if (error === undefined || error.code === 'LINK_CLOSED') return
      const host = link.peer.slice(0, link.peer.lastIndexOf(':'))
      const details = { peer: link.peer, code: error.code }
      this.#warnings.warn(error.code, host, details, `the link of a backend was ended: ${error.message}`)
    },
  }

  readonly #describe = (): GatewayDescription => ({
    lanAddress: this.#lanAddress,
    time: Date.now(),
    version,
    workers: this.#workers.size,
  })

  readonly #onFrame: LinkHandler['onFrame'] = (frame, link) => carryOut(this.#commands, frame, link)
}

function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
