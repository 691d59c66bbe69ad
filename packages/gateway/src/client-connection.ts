import {
  type ClientOrigin,
  type CloseReason,
  type Codec,
  EMPTY,
  type Log,
  type ToldClient,
} from '@gatewayworker/protocol'
import type { ClientTransport } from './client-transport.ts'
import { CloseCode } from './close-codes.ts'
import { EventQueue } from './event-queue.ts'
import type { HubMember } from './hub.ts'
import type { Askable } from './idle-check.ts'
import type { LogThrottle } from './log-throttle.ts'
import type { OutgoingMessage } from './message.ts'
import type { Flushable, Outbox, Run } from './outbox.ts'
import { Rate, type RateCosts } from './rate.ts'
import type { RoutedClient } from './router.ts'
import type { StoredSession } from './session.ts'
import type { WorkerPeer } from './worker-peer.ts'

/** What all clients of a gateway share. */
export interface ClientSurroundings {
  readonly bufferSizeBytes: number
  readonly counters: ClientCounters
  readonly log: Log
  /** Something is kept for the client, at least for now. */
  onKept(client: ClientConnection): void
  /** The client is gone for everybody, though its socket may still be on its way out. Called once. */
  onLeave(client: ClientConnection, reason: CloseReason): void
  readonly outbox: Outbox
  readonly rateCosts: RateCosts
  readonly slowClientPolicy: 'close' | 'drop'
  /** Slow clients come in crowds: one line says how many. */
  readonly slowThrottle: LogThrottle
}

/** What happened to clients since the process started. */
export interface ClientCounters {
  /** Messages that clients have sent. */
  receivedMessages: number
  /** Messages that clients were sent, each counted for each of them. */
  sentMessages: number
  /** Clients that were closed because they broke the protocol. */
  protocolErrors: number
  /** Messages that a slow client never got, under the policy `drop`. */
  droppedMessages: number
  /** Messages of clients that sent more than their rate, under the policy `drop`. */
  droppedRequests: number
  /** Clients that were closed because their token has expired. */
  expiredClients: number
  /** Clients that were destroyed because nothing was heard of them, though they were asked. */
  idleClients: number
  /** Clients that sent more than their rate. */
  limitedClients: number
  /** Clients that were closed because all of them kept too much together. */
  memoryClients: number
  /** Clients whose output reached the buffer size. */
  slowClients: number
}

/** How long a client that has ended its side is kept for the answers to what it has said, in milliseconds. */
const LAST_ANSWER_TIMEOUT_MS = 10_000

/** Why a client is not read; it is read when there is no reason left. */
export const PauseReason = {
  /** Events of it wait: for a worker, for room in its window, or for their turn. */
  EVENTS_WAIT: 1,
  /** The gateway is about to go. */
  GATEWAY_STOPS: 8,
  /** It has sent more than its rate. */
  SENDS_TOO_MUCH: 16,
} as const

/**
 * One client, and the only door for bytes to it.
 *
 * Invariants: what `send` took leaves in order, with one write per turn, before any close frame; after `onLeave` nothing is sent and
 * no event is made of what still comes.
 */
export class ClientConnection implements Askable, Flushable, HubMember, RoutedClient, ToldClient {
  readonly clientId: string
  readonly connectionId: number
  readonly origin: ClientOrigin
  readonly rate: Rate
  /** Holdings: whether it is noted there. */
  isNoted = false
  /** When the message began whose end has not come. */
  unfinishedSince = 0
  /** Closes it when its token expires. */
  expiryTimer: NodeJS.Timeout | undefined
  groups: Set<string> | undefined
  /** When its last message came, or else itself, as `performance.now()` tells it. */
  lastMessageAt = performance.now()
  /** When it last sent something else, such as a ping. */
  lastSignAt = 0
  session: StoredSession | undefined
  /** Heartbeat: checks since the client last said something; -1 when it has since the last check. */
  silentChecks = -1
  uid: string | undefined

  /** The worker pool's: what has happened to the client, and who serves it. */
  readonly events: EventQueue
  /** The instance of the worker that serves it, or was the last to do so; PHP's have none. */
  lastWorker: string | undefined
  noWorkerTimer: NodeJS.Timeout | undefined
  worker: WorkerPeer | undefined

  readonly #around: ClientSurroundings
  readonly #transport: ClientTransport
  #hasEnded = false
  #hasLeft = false
  #isAsked = false
  #isSlow = false
  #pauseReasons = 0
  #run: Run | undefined

  constructor(
    connectionId: number,
    clientId: string,
    transport: ClientTransport,
    origin: ClientOrigin,
    around: ClientSurroundings,
    handledEvents = 0,
  ) {
    this.connectionId = connectionId
    this.clientId = clientId
    this.events = new EventQueue(handledEvents)
    this.origin = origin
    this.rate = new Rate(around.rateCosts)
    this.#around = around
    this.#transport = transport
  }

  get hasLeft(): boolean {
    return this.#hasLeft
  }

  get isPaused(): boolean {
    return this.#pauseReasons !== 0
  }

  get isReceiveOnly(): boolean {
    return this.#transport.isReceiveOnly
  }

  /** Output that the kernel has not taken yet, in bytes. */
  get bufferedBytes(): number {
    return this.#transport.bufferedBytes + (this.#run?.byteLength ?? 0)
  }

  /** Input that is kept until the rest of its message has come, in bytes. */
  get heldBytes(): number {
    return this.#transport.heldBytes
  }

  /** All that is kept for it, in bytes. */
  get keptBytes(): number {
    return this.heldBytes + this.#transport.waitingBytes + this.events.byteLength + this.bufferedBytes
  }

  /** Whether it is not read for a reason that is not its own. */
  get waitsForUs(): boolean {
    return (this.#pauseReasons & ~PauseReason.SENDS_TOO_MUCH) !== 0
  }

  /** What went over its connection since it was made, handshake and framing included. */
  get traffic(): { bytesIn: number; bytesOut: number } {
    return this.#transport.traffic
  }

  get bytesOut(): number {
    return this.#transport.traffic.bytesOut
  }

  /** When it was last heard, as `performance.now()` tells it. */
  get heardAt(): number {
    return Math.max(this.lastMessageAt, this.lastSignAt)
  }

  /** Whether so much waits for it that it counts as slow. */
  get isFull(): boolean {
    return this.bufferedBytes >= this.#around.bufferSizeBytes
  }

  get remoteAddress(): string {
    return this.origin.remoteAddress
  }

  sessionIn(codec: Codec): Buffer {
    return this.session?.in(codec, this.#onUnreadableSession) ?? EMPTY
  }

  /** Puts a message behind those that wait; false if the client has left or is too slow to get it. */
  send(message: OutgoingMessage): boolean {
    if (this.#hasLeft) return false
    const { outbox } = this.#around
    if (this.isFull) {
      this.flush() // what the kernel takes was no client's fault
      if (this.isFull) return this.#onSlow()
    }
    this.#around.counters.sentMessages += 1
    const frame = this.#transport.frame(message)
    if (frame !== undefined) this.#run = (this.#run ?? outbox.begin(this)).append(frame)
    else if (!this.isNoted) this.#around.onKept(this)
    return true
  }

  /** Writes what waits; called once at the end of a turn. */
  flush(): void {
    const run = this.#run
    this.#run = undefined
    if (run === undefined || run.byteLength === 0) return
    this.#transport.write(run.join())
    if (!this.isNoted && this.#transport.bufferedBytes > 0) this.#around.onKept(this)
  }

  /** Asks whether anybody is there; false where its protocol has nothing for that. */
  ask(): boolean {
    this.#isAsked = this.#transport.ask()
    return this.#isAsked
  }

  /** Whether it owes an answer; it does not any more. */
  takeAsked(): boolean {
    const isAsked = this.#isAsked
    this.#isAsked = false
    return isAsked
  }

  /** Says what waits, then ends the connection; `text` is for the page, `reason` for onClose. */
  close(code: CloseCode, text: string, reason: CloseReason): void {
    if (this.#hasLeft) return
    this.flush()
    this.#transport.close(code, text)
    this.leave(reason)
  }

  /** It will say no more, but may still read: it stays until what it has said is handled, for the answers, though not for ever. */
  end(): void {
    this.#hasEnded = true
    this.leaveIfDone()
    if (!this.#hasLeft) setTimeout(() => this.close(CloseCode.CLOSED, '', 'client'), LAST_ANSWER_TIMEOUT_MS).unref()
  }

  /** Some of its events are handled: one that will say no more leaves with the last of them. */
  leaveIfDone(): void {
    if (this.#hasEnded && this.events.isEmpty) this.close(CloseCode.CLOSED, '', 'client')
  }

  /** Ends the connection at once; what waits is dropped. */
  destroy(reason: CloseReason): void {
    this.#transport.destroy()
    this.leave(reason)
  }

  /** Ends a connection that costs too much memory, and says why unless that would have to wait behind the output that costs it. */
  closeForMemory(): void {
    if (this.bufferedBytes * 2 > this.keptBytes) this.destroy('memory')
    else this.close(CloseCode.MEMORY, 'too much is kept for you', 'memory')
  }

  /** The connection has ended, or is about to: from now on the client does not exist. */
  leave(reason: CloseReason): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#run = undefined
    this.#around.onLeave(this, reason)
  }

  pauseReading(reason: number): void {
    if (this.#pauseReasons === 0 && !this.#hasLeft) {
      this.#transport.pause()
      if (!this.isNoted) this.#around.onKept(this) // what has come already waits
    }
    this.#pauseReasons |= reason
  }

  resumeReading(reason: number): void {
    if (this.#pauseReasons === 0) return
    this.#pauseReasons &= ~reason
    if (this.#pauseReasons === 0) this.#transport.resume()
  }

  readonly #onUnreadableSession = (err: unknown): void => {
    const { clientId } = this
    this.#around.log.error({ clientId, err }, 'a session cannot be told to a peer of the other dialect; it gets none')
  }

  #onSlow(): false {
    const { bufferSizeBytes, counters, log, slowClientPolicy, slowThrottle } = this.#around
    if (!this.#isSlow) {
      this.#isSlow = true
      counters.slowClients += 1
      const clients = slowThrottle.add()
      const details = { clientId: this.clientId, bufferSizeBytes, clients, policy: slowClientPolicy }
      if (clients > 0) log.warn(details, 'a client reads too slowly')
    }
    if (slowClientPolicy === 'drop') counters.droppedMessages += 1
    else this.close(CloseCode.TOO_SLOW, 'reads too slowly', 'slow')
    return false
  }
}
