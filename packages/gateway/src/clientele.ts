import {
  type CloseReason,
  Command,
  connectionIdOf,
  encodeClientId,
  Flag,
  GatewayWorkerError,
  gatewayKeyOf,
  type Log,
  MAX_TIMER_MS,
} from '@gatewayworker/protocol'
import { type Claims, DEFAULT_CLOCK_TOLERANCE_S, subjectOf } from './access/token-verifier.ts'
import { ClientConnection, type ClientCounters, type ClientSurroundings } from './client-connection.ts'
import type { OnClient } from './client-transport.ts'
import { CloseCode } from './close-codes.ts'
import { type DeadLetter, NoTransport, readDeadLetter } from './dead-letters.ts'
import { Heartbeat } from './heartbeat.ts'
import { defaultMaxBufferedBytes, Holdings } from './holdings.ts'
import type { Hub } from './hub.ts'
import { IdleCheck } from './idle-check.ts'
import { LogThrottle } from './log-throttle.ts'
import { OutgoingMessage } from './message.ts'
import type { GatewaySettings } from './options.ts'
import { Outbox } from './outbox.ts'
import { ownBytes } from './own-bytes.ts'
import { isNobody } from './parameters.ts'
import { rateCosts } from './rate.ts'
import { RateLimiter } from './rate-limiter.ts'
import { StoredSession } from './session.ts'
import type { UidWatchers } from './uid-watchers.ts'
import type { WorkerPool } from './worker-pool.ts'

export interface ClienteleOptions {
  hub: Hub<ClientConnection>
  settings: GatewaySettings
  uidWatchers: UidWatchers
  workers: WorkerPool
}

/** How exactly it is known since when a client is silent, in milliseconds. */
const CLOCK_MS = 100

/**
 * The clients of a gateway, from the moment that they are let in: makes their events of what comes on their transports, and looks after those
 * that are silent, send too much, or whose token expires.
 *
 * Invariant: the first event of a client is ON_CONNECT, with its uid bound if a token says it, and the last is ON_CLOSE; after that none is made.
 */
export class Clientele {
  /** What happened to clients since the start. */
  readonly counters: ClientCounters = {
    droppedMessages: 0,
    droppedRequests: 0,
    expiredClients: 0,
    idleClients: 0,
    limitedClients: 0,
    memoryClients: 0,
    protocolErrors: 0,
    receivedMessages: 0,
    sentMessages: 0,
    slowClients: 0,
  }
  /** What all client ids of this gateway begin with; to be set before the first client comes. */
  gatewayKey = ''
  readonly #around: ClientSurroundings
  readonly #clockToleranceS: number
  readonly #closesAtExpiry: boolean
  readonly #heartbeat: Heartbeat<ClientConnection>
  readonly #holdings: Holdings
  readonly #hub: Hub<ClientConnection>
  readonly #idleCheck: IdleCheck<ClientConnection>
  readonly #log: Log
  readonly #rateLimiter: RateLimiter
  readonly #uidWatchers: UidWatchers
  readonly #workers: WorkerPool
  #clock: NodeJS.Timeout | undefined
  /** `performance.now()`, not older than 0.1 s: asked once for all messages of that time. */
  #now = performance.now()

  constructor({ hub, settings, uidWatchers, workers }: ClienteleOptions) {
    const { log, pingData, pingIntervalS } = settings
    this.#clockToleranceS = settings.jwt?.clockToleranceS ?? DEFAULT_CLOCK_TOLERANCE_S
    this.#closesAtExpiry = settings.jwt?.closeAtExpiry ?? false
    this.#hub = hub
    this.#log = log
    this.#uidWatchers = uidWatchers
    this.#workers = workers
    this.#holdings = new Holdings({
      counters: this.counters,
      log,
      maxBufferedBytes: settings.maxBufferedBytes ?? defaultMaxBufferedBytes(),
      messageTimeoutMs: settings.messageTimeoutMs,
    })
    this.#around = {
      bufferSizeBytes: settings.sendToClientBufferSizeBytes,
      counters: this.counters,
      log,
      onKept: (client) => this.#holdings.note(client),
      onLeave: this.#onLeave,
      outbox: new Outbox(),
      rateCosts: rateCosts(settings.messageRate, settings.byteRate),
      slowClientPolicy: settings.slowClientPolicy,
      slowThrottle: new LogThrottle(),
    }
    this.#rateLimiter = new RateLimiter(settings.ratePolicy, this.counters, log)
    const ping = new OutgoingMessage(Buffer.from(pingData), false, false)
    this.#heartbeat = new Heartbeat({
      clients: () => hub.members(),
      ping: pingData === '' ? undefined : (client) => client.send(ping),
      pingIntervalS,
      pingNotResponseLimit: settings.pingNotResponseLimit,
    })
    this.#idleCheck = new IdleCheck({
      clients: () => hub.members(),
      onIdle: this.#onIdle,
      timeoutMs: settings.idleTimeoutMs,
    })
  }

  /** Begins to look after those that are silent. */
  start(): void {
    this.#heartbeat.start()
    this.#idleCheck.start()
    this.#clock = setInterval(this.#tick, CLOCK_MS)
  }

  /** Looks after nobody any more. */
  stop(): void {
    this.#heartbeat.stop()
    this.#idleCheck.stop()
    clearInterval(this.#clock)
  }

  /** Ends the connections of all. */
  closeAll(text: string, reason: CloseReason): void {
    for (const client of [...this.#hub.members()]) client.close(CloseCode.GATEWAY_STOPS, text, reason)
  }

  /** Resolves when everybody who pushes to the uid of a client that is about to come will find it here. */
  readonly prepare = async (claims: Claims): Promise<void> => {
    const uid = subjectOf(claims)
    if (isNobody(uid)) return
    const forget = this.#uidWatchers.expect(uid)
    await this.#uidWatchers.whenKnown()
    setImmediate(forget) // it is bound by then, or does not come
  }

  /** A client is let in. */
  readonly onClient: OnClient = (transport, origin, handshake) => {
    const connectionId = this.#hub.takeConnectionId()
    const clientId = encodeClientId(this.gatewayKey, connectionId)
    const client = new ClientConnection(connectionId, clientId, transport, origin, this.#around)
    this.#hub.add(client)
    this.#onClaims(client, handshake?.claims)
    this.#workers.deliver(client, Command.ON_CONNECT, Flag.SCALAR)
    if (handshake !== undefined) this.#workers.deliver(client, Command.ON_WEBSOCKET_CONNECT, 0, handshake)
    return {
      clientId,
      onMessage: (body, isBinary) => this.#onMessage(client, body, isBinary),
      onAlive: () => this.#onAlive(client),
      onAnswer: () => this.#onAnswer(client),
      onRead: (pieces, bytes) => this.#onRead(client, pieces, bytes),
      onUnfinished: () => {
        client.unfinishedSince = this.#now
        this.#holdings.note(client)
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

  /**
   * Delivers an event that was given up once more, to any worker; its client is gone, so that what is sent to it reaches nobody. Throws
   * BAD_PARAMETERS if it was a client of another gateway, or if that number is in use.
   */
  replay(letter: DeadLetter): void {
    const { clientId, gatewayPort, remoteAddress, remotePort } = letter
    const connectionId = connectionIdOf(clientId)
    if (gatewayKeyOf(clientId) !== this.gatewayKey) {
      throw new GatewayWorkerError('BAD_PARAMETERS', `${clientId} was no client of this gateway`)
    }
    if (this.#hub.get(connectionId) !== undefined || this.#workers.has(connectionId)) {
      throw new GatewayWorkerError('BAD_PARAMETERS', `${clientId} is connected, or its onClose is not handled yet`)
    }
    const { body, command, flag, handled, session } = readDeadLetter(letter)
    const around = { ...this.#around, onLeave: () => {} }
    const origin = { gatewayPort, remoteAddress, remotePort }
    const client = new ClientConnection(connectionId, clientId, new NoTransport(), origin, around, handled)
    if (session !== undefined) client.session = new StoredSession(session)
    client.leave('client')
    this.#workers.deliver(client, command, flag, body)
  }

  readonly #tick = (): void => {
    this.#now = performance.now()
    this.#rateLimiter.release(this.#now)
    this.#holdings.check(this.#now)
  }

  #onClaims(client: ClientConnection, claims: Claims = {}): void {
    const uid = subjectOf(claims)
    if (!isNobody(uid)) this.#hub.bind(client, uid)
    const { exp } = claims
    if (exp === undefined || !this.#closesAtExpiry) return
    // As long as the verifier takes it.
    this.#awaitExpiry(client, (exp + this.#clockToleranceS) * 1000)
  }

  /** The clock may be set, and a timer takes a month at most: what is left is looked at again when it is over. */
  #awaitExpiry(client: ClientConnection, expiresAt: number): void {
    const leftMs = expiresAt - Date.now()
    const onTime = (): void => {
      if (Date.now() < expiresAt) this.#awaitExpiry(client, expiresAt)
      else this.#onTokenExpired(client)
    }
    client.expiryTimer = setTimeout(onTime, Math.min(Math.max(leftMs, 0), MAX_TIMER_MS))
  }

  #onTokenExpired(client: ClientConnection): void {
    this.counters.expiredClients += 1
    client.close(CloseCode.TOKEN_EXPIRED, 'token expired', 'token_expired')
  }

  /** Whether the client is to be answered. */
  #onAlive(client: ClientConnection): boolean {
    if (client.hasLeft) return false
    client.lastSignAt = performance.now()
    client.silentChecks = -1
    if (client.rate.isOver(this.#now) && !this.#rateLimiter.takes(client)) return false
    client.rate.charge(this.#now, 1, 0)
    return !client.isFull
  }

  /** Who was asked answers for nothing; who says so unasked pays as for a ping. */
  #onAnswer(client: ClientConnection): void {
    if (client.hasLeft) return
    client.lastSignAt = performance.now()
    if (client.takeAsked() || (client.rate.isOver(this.#now) && !this.#rateLimiter.takes(client))) return
    client.rate.charge(this.#now, 1, 0)
  }

  #onRead(client: ClientConnection, pieces: number, bytes: number): void {
    if (client.hasLeft || (pieces === 0 && bytes === 0)) return
    client.rate.charge(this.#now, pieces, bytes)
    if (bytes >= 0 && client.rate.isOver(this.#now)) this.#rateLimiter.onOver(client)
  }

  #onMessage(client: ClientConnection, body: Buffer, isBinary: boolean): void {
    if (client.hasLeft) return
    client.lastMessageAt = this.#now
    client.silentChecks = -1
    if (client.rate.isOver(this.#now) && !this.#rateLimiter.takes(client)) {
      this.counters.droppedRequests += 1
      return
    }
    client.rate.charge(this.#now, 1, body.length)
    this.counters.receivedMessages += 1
    if (!client.isNoted) this.#holdings.note(client)
    const flag = isBinary ? Flag.SCALAR | Flag.BINARY : Flag.SCALAR
    // It is kept until a worker has handled it.
    this.#workers.deliver(client, Command.ON_MESSAGE, flag, ownBytes(body))
  }

  readonly #onIdle = (client: ClientConnection): void => {
    this.counters.idleClients += 1
    client.destroy('heartbeat')
  }

  readonly #onLeave = (client: ClientConnection, reason: CloseReason): void => {
    clearTimeout(client.expiryTimer)
    this.#hub.remove(client)
    this.#workers.deliverClose(client, reason)
  }
}
