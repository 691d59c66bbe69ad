import type { Socket } from 'node:net'
import { type ClientOrigin, type Codec, EMPTY, type Log, type ToldClient } from '@gatewayworker/protocol'
import type { WebSocket } from 'ws'
import { CloseCode } from './close-codes.ts'
import type { HubMember } from './hub.ts'
import type { OutgoingMessage } from './message.ts'
import type { Flushable, Outbox, Run } from './outbox.ts'
import type { RoutedClient } from './router.ts'
import type { StoredSession } from './session.ts'
import type { HeldEvent, WorkerPeer } from './worker-pool.ts'

/** What all clients of a gateway share. */
export interface ClientSurroundings {
  readonly bufferSizeBytes: number
  readonly counters: ClientCounters
  readonly log: Log
  /** The client is gone for everybody, though its socket may still be on its way out. Called once. */
  onLeave(client: ClientConnection): void
  readonly outbox: Outbox
  readonly slowClientPolicy: 'close' | 'drop'
}

/** What happened to clients since the process started. */
export interface ClientCounters {
  /** Messages that a slow client never got, under the policy `drop`. */
  droppedMessages: number
  /** Clients whose output reached the buffer size. */
  slowClients: number
}

/** Why a client is not read; it is read when there is no reason left. */
export const PauseReason = {
  /** It waits for a worker. */
  NO_WORKER: 1,
  /** The link to its worker is full. */
  WORKER_FULL: 2,
  /** Its worker has enough of its messages waiting. */
  WORKER_ASKED: 4,
} as const

/**
 * One client, and the only door for bytes to it.
 *
 * Invariants: what `send` took leaves in order, with one write per turn, before any close frame; after `onLeave` nothing is sent and
 * no event is made of what still comes.
 */
export class ClientConnection implements Flushable, HubMember, RoutedClient, ToldClient {
  readonly clientId: string
  readonly connectionId: number
  readonly origin: ClientOrigin
  groups: Set<string> | undefined
  session: StoredSession | undefined
  /** Heartbeat: checks since the client last said something; -1 when it has since the last check. */
  silentChecks = -1
  uid: string | undefined

  /** The worker pool's: who serves the client, what waits for somebody to, and whether anybody ever did. */
  heldEvents: HeldEvent[] | undefined
  isKnownToWorkers = false
  noWorkerTimer: NodeJS.Timeout | undefined
  worker: WorkerPeer | undefined

  readonly #around: ClientSurroundings
  readonly #compresses: boolean
  readonly #socket: Socket
  readonly #webSocket: WebSocket
  #hasLeft = false
  #isSlow = false
  #pauseReasons = 0
  #run: Run | undefined

  constructor(
    connectionId: number,
    clientId: string,
    webSocket: WebSocket,
    socket: Socket,
    origin: ClientOrigin,
    around: ClientSurroundings,
  ) {
    this.connectionId = connectionId
    this.clientId = clientId
    this.origin = origin
    this.#around = around
    this.#compresses = webSocket.extensions !== ''
    this.#socket = socket
    this.#webSocket = webSocket
  }

  get hasLeft(): boolean {
    return this.#hasLeft
  }

  get isPaused(): boolean {
    return this.#pauseReasons !== 0
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
    const run = this.#run ?? this.#around.outbox.begin(this)
    this.#run = run
    const waitingBytes = this.#compresses
      ? this.#webSocket.bufferedAmount
      : this.#socket.writableLength + run.byteLength
    if (waitingBytes >= this.#around.bufferSizeBytes) return this.#onSlow()
    // Compressed messages are ws's business from here on: it keeps their order, and counts what waits to be compressed.
    if (this.#compresses && !message.isRaw) this.#sendCompressed(message)
    else this.#run = run.append(message.frame)
    return true
  }

  /** Writes what waits; called once at the end of a turn. */
  flush(): void {
    const run = this.#run
    this.#run = undefined
    if (run !== undefined && run.byteLength > 0 && this.#socket.writable) this.#socket.write(run.join())
  }

  /** Says what waits, then ends the connection with a close frame. */
  close(code: CloseCode, reason: string): void {
    if (this.#hasLeft) return
    this.flush()
    this.#webSocket.close(code, reason)
    // A socket that is not read would never see the other side's answer.
    this.#webSocket.resume()
    this.leave()
  }

  /** Ends the connection at once; what waits is dropped. */
  destroy(): void {
    this.#webSocket.terminate()
    this.leave()
  }

  /** The connection has ended, or is about to: from now on the client does not exist. */
  leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#run = undefined
    this.#around.onLeave(this)
  }

  pauseReading(reason: number): void {
    if (this.#pauseReasons === 0 && !this.#hasLeft) this.#webSocket.pause()
    this.#pauseReasons |= reason
  }

  resumeReading(reason: number): void {
    if (this.#pauseReasons === 0) return
    this.#pauseReasons &= ~reason
    if (this.#pauseReasons === 0) this.#webSocket.resume()
  }

  #sendCompressed(message: OutgoingMessage): void {
    this.#webSocket.send(message.ownBody, { binary: message.isBinary })
  }

  readonly #onUnreadableSession = (err: unknown): void => {
    const { clientId } = this
    this.#around.log.error({ clientId, err }, 'a session cannot be told to a peer of the other dialect; it gets none')
  }

  #onSlow(): false {
    const { bufferSizeBytes, counters, log, slowClientPolicy } = this.#around
    if (!this.#isSlow) {
      this.#isSlow = true
      counters.slowClients += 1
      log.warn({ clientId: this.clientId, bufferSizeBytes, policy: slowClientPolicy }, 'a client reads too slowly')
    }
    if (slowClientPolicy === 'drop') counters.droppedMessages += 1
    else this.close(CloseCode.TOO_SLOW, 'reads too slowly')
    return false
  }
}
