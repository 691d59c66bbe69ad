import {
  type CloseReason,
  Command,
  createInstanceId,
  credentialsOf,
  DEFAULT_MAX_FRAME_BYTES,
  encodeClientId,
  Flag,
  type GatewayDescription,
  gatewayKey,
  type Hello,
  type Link,
  type LinkHandler,
  LinkListener,
  type Log,
  version,
} from '@gatewayworker/protocol'
import { type Announcer, announceGateway } from '@gatewayworker/register'
import type { Refusal } from './access/admission.ts'
import { Doorkeeper } from './access/doorkeeper.ts'
import { type Claims, subjectOf } from './access/token-verifier.ts'
import { type ClientQuery, type ClientRow, listClients } from './census.ts'
import { ClientConnection, type ClientCounters, type ClientSurroundings, PauseReason } from './client-connection.ts'
import { type ClientAcceptor, ClientPort, type Reception } from './client-port.ts'
import type { OnClient } from './client-transport.ts'
import { CloseCode } from './close-codes.ts'
import { type CommandSurroundings, carryOut } from './commands.ts'
import { Heartbeat } from './heartbeat.ts'
import { Hub } from './hub.ts'
import { IdleCheck } from './idle-check.ts'
import { Isolation } from './isolation.ts'
import { OutgoingMessage } from './message.ts'
import { GATEWAY_DEFAULTS, type GatewayServerOptions, type GatewaySettings } from './options.ts'
import { Outbox } from './outbox.ts'
import { isNobody } from './parameters.ts'
import { rateCosts } from './rate.ts'
import { RateLimiter } from './rate-limiter.ts'
import { Reachability } from './reachability.ts'
import { BUILT_IN_ROUTERS } from './router.ts'
import { StreamAcceptor } from './stream-acceptor.ts'
import { STREAM_PROTOCOLS, streamProtocolOf } from './stream-protocol.ts'
import type { SslOptions } from './tls-layer.ts'
import { UidWatchers } from './uid-watchers.ts'
import { WebSocketAcceptor } from './websocket-acceptor.ts'
import { type EventCounters, WorkerPool } from './worker-pool.ts'

/** How exactly it is known since when a client is silent, in milliseconds. */
const CLOCK_MS = 100
/** What a message travels with to its worker, at most. */
const FRAME_MARGIN_BYTES = 1024
/** Longer times overflow setTimeout. */
const MAX_TIMER_MS = 2 ** 31 - 1

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
  /** What happened to clients since the start. */
  readonly counters: ClientCounters = {
    droppedMessages: 0,
    droppedRequests: 0,
    expiredClients: 0,
    idleClients: 0,
    limitedClients: 0,
    protocolErrors: 0,
    receivedMessages: 0,
    sentMessages: 0,
    slowClients: 0,
  }
  readonly #around: CommandSurroundings & ClientSurroundings
  readonly #doorkeeper: Doorkeeper
  readonly #heartbeat: Heartbeat<ClientConnection>
  readonly #hub: Hub<ClientConnection>
  readonly #idleCheck: IdleCheck<ClientConnection>
  readonly #listener: LinkListener
  readonly #log: Log
  readonly #options: GatewaySettings
  readonly #port: ClientPort
  readonly #rateLimiter: RateLimiter
  readonly #uidWatchers: UidWatchers
  readonly #workers: WorkerPool
  #clock: NodeJS.Timeout | undefined
  /** `performance.now()`, not older than 0.1 s: asked once for all messages of that time. */
  #now = performance.now()
  #announcer: Announcer | undefined
  #instance = createInstanceId()
  #isolation: Isolation | undefined
  #gatewayKey = ''
  #lanAddress = ''
  #reachability: Reachability | undefined

  constructor(options: GatewayServerOptions) {
    const settings: GatewaySettings = { ...GATEWAY_DEFAULTS, ...withoutUndefined(options) }
    const { lanHost, lanIp, lanPort, log, maxPayloadBytes, pingData, pingIntervalS, router } = settings
    if (maxPayloadBytes > DEFAULT_MAX_FRAME_BYTES - FRAME_MARGIN_BYTES) {
      throw new RangeError(`maxPayloadBytes may be ${DEFAULT_MAX_FRAME_BYTES - FRAME_MARGIN_BYTES} at most`)
    }
    if (settings.protocol !== 'websocket' && (settings.jwt !== undefined || settings.allowOrigins.length > 0)) {
      throw new TypeError('tokens and origins come with the handshake of a WebSocket, and other protocols have none')
    }
    this.#options = settings
    this.#log = log
    this.#workers = new WorkerPool({
      bufferSizeBytes: settings.sendToWorkerBufferSizeBytes,
      log,
      noWorkerTimeoutMs: settings.noWorkerTimeoutMs,
      poisonLimit: settings.poisonLimit,
      router: typeof router === 'function' ? router : BUILT_IN_ROUTERS[router],
    })
    this.#uidWatchers = new UidWatchers(() => this.#hub)
    this.#hub = new Hub(undefined, this.#uidWatchers)
    this.#around = {
      bufferSizeBytes: settings.sendToClientBufferSizeBytes,
      counters: this.counters,
      describe: this.#describe,
      hub: this.#hub,
      log,
      onLeave: this.#onClientLeave,
      outbox: new Outbox(),
      rateCosts: rateCosts(settings.messageRate, settings.byteRate),
      slowClientPolicy: settings.slowClientPolicy,
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
    this.#rateLimiter = new RateLimiter(settings.ratePolicy, this.counters, log)
    this.#doorkeeper = new Doorkeeper(settings, log)
    this.#port = new ClientPort({
      createAcceptor: (reception) => this.#createAcceptor(reception),
      doorkeeper: this.#doorkeeper,
      handshakeTimeoutMs: settings.handshakeTimeoutMs,
      host: settings.clientHost,
      keepAliveMs: settings.idleTimeoutMs / 2,
      log,
      port: settings.clientPort,
      prepare: this.#prepare,
      ssl: settings.ssl,
    })
    const ping = new OutgoingMessage(Buffer.from(pingData), false, false)
    this.#heartbeat = new Heartbeat({
      clients: () => this.#hub.members(),
      ping: pingData === '' ? undefined : (client) => client.send(ping),
      pingIntervalS,
      pingNotResponseLimit: settings.pingNotResponseLimit,
    })
    this.#idleCheck = new IdleCheck({
      clients: () => this.#hub.members(),
      onIdle: this.#onClientIdle,
      timeoutMs: settings.idleTimeoutMs,
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
    const { receivedMessages, sentMessages, ...counters } = this.counters
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

  /** Listens and announces itself. Rejects with the system's error if a port cannot be had. */
  async start(): Promise<void> {
    const { lanIp, linkTimeoutMs, log, registerAddresses } = this.#options
    const credentials = credentialsOf(this.#options)
    const { port } = await this.#listener.listen()
    this.#lanAddress = `${lanIp}:${port}`
    this.#gatewayKey = gatewayKey(this.#lanAddress)
    try {
      await this.#port.listen()
    } catch (error) {
      await this.#listener.close()
      throw error
    }
    this.#reachability = new Reachability({
      credentials,
      instance: () => this.#instance,
      lanAddress: this.#lanAddress,
      registerAddresses,
    })
    this.#announcer = announceGateway(this.#lanAddress, { ...credentials, linkTimeoutMs, log, registerAddresses })
    this.#isolation = new Isolation({
      isCutOff: () => this.#workers.areCutOff && this.#announcer?.isCutOff === true,
      onIsolated: this.#onIsolated,
      timeoutMs: this.#options.isolationTimeoutMs,
    })
    this.#heartbeat.start()
    this.#idleCheck.start()
    this.#clock = setInterval(this.#tick, CLOCK_MS)
  }

  /** New connections are shown this certificate. Throws, and changes nothing, if it and the key do not go together. */
  renewCertificate(ssl: SslOptions): void {
    this.#port.renewCertificate(ssl)
  }

  /** Lets workers handle what clients have said, says goodbye to every client, lets the workers know, and ends; they may take `timeoutMs`. */
  async stop(timeoutMs: number = this.#options.stopTimeoutMs): Promise<void> {
    const withdrawn = this.#announcer?.close()
    this.#isolation?.close()
    this.#heartbeat.stop()
    this.#idleCheck.stop()
    clearInterval(this.#clock)
    this.#port.close()
    for (const client of this.#hub.members()) client.pauseReading(PauseReason.GATEWAY_STOPS)
    await this.#workers.whenSettled(timeoutMs / 2) // and what came of it has been sent
    for (const client of [...this.#hub.members()]) {
      client.close(CloseCode.GATEWAY_STOPS, 'gateway stops', 'gateway_stopped')
    }
    await this.#workers.whenSettled(timeoutMs / 2)
    await withdrawn
    await this.#listener.close()
  }

  /** Workers give up a gateway that is cut off, and its clients: it does so too, and starts over as if it were another process. */
  readonly #onIsolated = (): void => {
    this.#log.warn(
      { clients: this.#hub.size },
      'neither a worker nor a register can be reached: all clients are closed',
    )
    for (const client of [...this.#hub.members()]) {
      client.close(CloseCode.GATEWAY_STOPS, 'gateway is cut off', 'gateway_lost')
    }
    this.#workers.orphanUnserved()
    this.#instance = createInstanceId()
    this.#listener.instance = this.#instance
  }

  #createAcceptor(reception: Reception): ClientAcceptor {
    const { allowOrigins, compression, log, maxPayloadBytes, protocol, sse } = this.#options
    const onClient = this.#onClient
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
      onFull: () => this.#workers.checkRoom(worker),
      onDrain: () => this.#workers.checkRoom(worker),
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
      this.#log.warn({ peer: link.peer, code: error.code }, `the link of a backend was ended: ${error.message}`)
    },
  }

  readonly #describe = (): GatewayDescription => ({
    lanAddress: this.#lanAddress,
    time: Date.now(),
    version,
    workers: this.#workers.size,
  })

  readonly #onFrame: LinkHandler['onFrame'] = (frame, link) => carryOut(this.#around, frame, link)

  readonly #onClient: OnClient = (transport, origin, handshake) => {
    const connectionId = this.#hub.takeConnectionId()
    const clientId = encodeClientId(this.#gatewayKey, connectionId)
    const client = new ClientConnection(connectionId, clientId, transport, origin, this.#around)
    this.#hub.add(client)
    this.#onClaims(client, handshake?.claims)
    this.#workers.deliver(client, Command.ON_CONNECT, Flag.SCALAR)
    if (handshake !== undefined) this.#workers.deliver(client, Command.ON_WEBSOCKET_CONNECT, 0, handshake)
    return {
      clientId,
      onMessage: (body, isBinary) => this.#onClientMessage(client, body, isBinary),
      onAlive: () => this.#onClientAlive(client),
      onAnswer: () => {
        client.lastSignAt = performance.now()
      },
      onEnd: () => client.end(),
      onProtocolError: (err) => {
        if (client.hasLeft) return
        this.#log.debug({ clientId, err }, 'a client broke the protocol')
        this.counters.protocolErrors += 1
        client.leave('protocol_error')
      },
      onClose: () => client.leave('client'),
    }
  }

  readonly #tick = (): void => {
    this.#now = performance.now()
    this.#rateLimiter.release(this.#now)
  }

  /** Resolves when everybody who pushes to the uid of a client that is about to come will find it here. */
  readonly #prepare = async (claims: Claims): Promise<void> => {
    const uid = subjectOf(claims)
    if (isNobody(uid)) return
    const forget = this.#uidWatchers.expect(uid)
    await this.#uidWatchers.whenKnown()
    setImmediate(forget) // it is bound by then, or does not come
  }

  /** Its uid is bound before any worker hears of it. */
  #onClaims(client: ClientConnection, claims: Claims = {}): void {
    const uid = subjectOf(claims)
    if (!isNobody(uid)) this.#hub.bind(client, uid)
    const { exp } = claims
    if (exp === undefined || !this.#options.jwt?.closeAtExpiry) return
    const leftMs = Math.max(exp * 1000 - Date.now(), 0)
    if (leftMs <= MAX_TIMER_MS) client.expiryTimer = setTimeout(() => this.#onTokenExpired(client), leftMs)
  }

  #onTokenExpired(client: ClientConnection): void {
    this.counters.expiredClients += 1
    client.close(CloseCode.TOKEN_EXPIRED, 'token expired', 'token_expired')
  }

  /** Whether the client is to be answered. */
  #onClientAlive(client: ClientConnection): boolean {
    client.lastSignAt = performance.now()
    client.silentChecks = -1
    if (client.rate.isOver(this.#now) && !this.#rateLimiter.takes(client)) return false
    client.rate.charge(this.#now, 0)
    return !client.isFull
  }

  #onClientMessage(client: ClientConnection, body: Buffer, isBinary: boolean): void {
    if (client.hasLeft) return
    client.lastMessageAt = this.#now
    client.silentChecks = -1
    if (client.rate.isOver(this.#now) && !this.#rateLimiter.takes(client)) {
      this.counters.droppedRequests += 1
      return
    }
    client.rate.charge(this.#now, body.length)
    this.counters.receivedMessages += 1
    this.#workers.deliver(client, Command.ON_MESSAGE, isBinary ? Flag.SCALAR | Flag.BINARY : Flag.SCALAR, body)
  }

  readonly #onClientIdle = (client: ClientConnection): void => {
    this.counters.idleClients += 1
    client.destroy('heartbeat')
  }

  readonly #onClientLeave = (client: ClientConnection, reason: CloseReason): void => {
    clearTimeout(client.expiryTimer)
    this.#hub.remove(client)
    this.#workers.deliverClose(client, reason)
  }
}

function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
