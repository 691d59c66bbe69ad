import { type CurrentClient, currentClient, type Session } from '@gatewayworker/gateway-client'
import {
  type CloseReason,
  Command,
  EMPTY,
  encodeClientId,
  encodeSession,
  Flag,
  type Log,
  mergeSessions,
  msgpack,
} from '@gatewayworker/protocol'
import { type ClientFacts, Context, type EventFacts } from './context.ts'
import type { EventTimeout, Running } from './event-timeout.ts'
import type { Events } from './events.ts'
import { findFunction } from './find-function.ts'
import { readHandshakeRequest } from './handshake-request.ts'
import { SessionCopy } from './session-copy.ts'

/** An event of a client, taken out of its frame. */
export interface ClientEvent {
  readonly command: number
  /** The message, or the handshake as it came, or why the client is gone. */
  readonly payload: unknown
  readonly redelivered: boolean
}

/** What all clients of a worker share. */
export interface WorkerSurroundings {
  readonly counters: { handledEvents: number }
  readonly events: Events
  readonly eventTimeout: EventTimeout
  readonly log: Log
  /** A handler of some client has begun, or settled. */
  onHandler(change: 1 | -1): void
  /** Clients whose handler still runs though their link has ended and others serve them, by id. */
  readonly unfinished: Map<string, ServedClient>
}

/** What the clients of one link share: the link, and who is told that their events are handled. */
export interface LinkSurroundings {
  /** Whether it has not ended. */
  readonly isLinked: boolean
  readonly gatewayAddress: string
  readonly gatewayKey: string
  /** The client has handled its last event. */
  onGone(client: ServedClient): void
  /** The client has handled an event. */
  onHandled(client: ServedClient): void
  /** Does nothing when the link has ended. */
  send(command: number, connectionId: number, flag: number, ext: Uint8Array): void
}

const EVENT_OF_COMMAND: Record<number, 'onConnect' | 'onWebSocketConnect' | 'onMessage' | 'onClose'> = {
  [Command.ON_CONNECT]: 'onConnect',
  [Command.ON_WEBSOCKET_CONNECT]: 'onWebSocketConnect',
  [Command.ON_MESSAGE]: 'onMessage',
  [Command.ON_CLOSE]: 'onClose',
}

/**
 * A client that this worker serves: its events one after the other, and its session.
 *
 * Invariants: a handler begins when the one before it has settled or timed out, also when that began on a link that has ended; a handler that
 * is not async and finds nothing waiting runs in the turn in which its event came; after a refusal, a timeout or an end of the application's making
 * only onClose runs; while its gateway cannot be heard, no handler begins. The gateway's window bounds what waits here.
 */
export class ServedClient implements CurrentClient, Running {
  readonly clientId: string
  readonly connectionId: number
  /** The acknowledgement that is to come has it already. */
  isToAcknowledge = false
  startedTick = 0
  readonly #around: WorkerSurroundings
  readonly #facts: ClientFacts
  readonly #link: LinkSurroundings
  readonly #session: SessionCopy
  /** The session's bytes when the handler first looked at it. */
  #before: Buffer = EMPTY
  #context: Context | undefined
  #handled: number
  #hasLeft = false
  /** Whether a handler of this client, which began on a link that has ended, still runs. */
  #isBehind = false
  #isClosing = false
  #isSuspended = false
  /** The event whose handler runs. */
  #running: ClientEvent | undefined
  /** The same client on a newer link. */
  #successor: ServedClient | undefined
  #waiting: ClientEvent[] = []

  /** `handled`: how many of its events were handled before. */
  constructor(
    connectionId: number,
    origin: Pick<ClientFacts, 'gatewayPort' | 'remoteAddress' | 'remotePort'>,
    session: Buffer,
    handled: number,
    link: LinkSurroundings,
    around: WorkerSurroundings,
  ) {
    const { gatewayPort, remoteAddress, remotePort } = origin
    const { gatewayAddress, gatewayKey } = link
    this.clientId = encodeClientId(gatewayKey, connectionId)
    this.connectionId = connectionId
    this.#around = around
    this.#facts = { clientId: this.clientId, gatewayAddress, gatewayPort, remoteAddress, remotePort }
    this.#handled = handled
    this.#link = link
    this.#session = new SessionCopy(session)
  }

  get handledCount(): number {
    return this.#handled
  }

  /** Whether a handler runs, or an event waits. */
  get isOccupied(): boolean {
    return this.#running !== undefined || this.#waiting.length > 0
  }

  /** An event of the client has come. */
  onEvent(event: ClientEvent): void {
    if (event.command === Command.ON_CLOSE) this.#hasLeft = true
    if (this.#mayBegin) this.#handle(event)
    else this.#waiting.push(event)
  }

  /** Its gateway cannot be heard any more. */
  suspend(): void {
    this.#isSuspended = true
  }

  /** The gateway tells others, or us anew: what waits is never begun. */
  abandon(): void {
    this.#waiting = []
    if (this.#running !== undefined) this.#around.unfinished.set(this.clientId, this)
  }

  /** Begins when the handler that runs for the same client on a link that has ended has settled. */
  beginAfter(predecessor: ServedClient): void {
    this.#isBehind = true
    predecessor.#successor = this
  }

  /** Its gateway will never be heard again: what came before is handled, and then that it is gone. */
  onGatewayLost(): void {
    if (!this.#hasLeft) {
      this.onEvent({ command: Command.ON_CLOSE, payload: 'gateway_lost', redelivered: false })
    }
    this.#isSuspended = false
    this.#handleWaiting()
  }

  onSessionChanged(bytes: Buffer, isOwn: boolean): void {
    this.#session.onChanged(bytes, isOwn)
  }

  onClosing(): void {
    this.#isClosing = true
  }

  onSessionWritten(kind: 'replace' | 'merge', session: Session): boolean {
    this.#session.onWritten(kind, session)
    if (this.#context?.touchedSession !== undefined) {
      // What the handler itself has changed so far is still to be stored when it settles.
      this.#before = kind === 'replace' ? this.#session.bytes : mergeInto(this.#before, session)
      const { touchedSession } = this.#context
      refill(touchedSession, kind === 'replace' ? this.#session.read() : mergeSessions(touchedSession, session))
    }
    return this.#link.isLinked
  }

  onEventTimeout(): void {
    const event = this.#running!
    const { events, eventTimeout, log } = this.#around
    const { clientId } = this
    const name = EVENT_OF_COMMAND[event.command]!
    const { timeoutMs } = eventTimeout
    const messageId = this.#context?.messageId
    const details = { clientId, event: name, messageId, timeoutMs, handler: findFunction(events[name]) }
    log.error(
      { ...details, droppedEvents: this.#waiting.filter(({ command }) => command !== Command.ON_CLOSE).length },
      'a handler did not settle within the event timeout; its client is closed',
    )
    this.#isClosing = true
    this.#context = undefined // what it changes from now on is not stored
    if (event.command !== Command.ON_CLOSE) this.#send(Command.HANDLER_TIMED_OUT)
    this.#onSettled(event)
  }

  get #mayBegin(): boolean {
    return this.#running === undefined && !this.#isSuspended && !this.#isBehind
  }

  #handle(event: ClientEvent): void {
    const result = this.#call(event)
    if (result === undefined) {
      this.#settle(event)
      return
    }
    this.#running = event
    this.#around.onHandler(1)
    this.#around.eventTimeout.begin(this)
    result.then(
      () => this.#onSettled(event),
      (error) => {
        if (this.#running === event) this.#onError(event, error)
        this.#onSettled(event)
      },
    )
  }

  #onSettled(event: ClientEvent): void {
    if (this.#running !== event) return // it was given up when its time was over
    this.#around.eventTimeout.end(this)
    this.#settle(event)
    this.#running = undefined
    this.#handleWaiting()
    this.#around.onHandler(-1) // not before: the next one has begun, so that the worker is not idle in between
    const { unfinished } = this.#around
    if (unfinished.size === 0 || unfinished.get(this.clientId) !== this) return
    unfinished.delete(this.clientId)
    this.#successor?.onPredecessorSettled()
  }

  onPredecessorSettled(): void {
    this.#isBehind = false
    this.#handleWaiting()
  }

  #handleWaiting(): void {
    let next = 0
    while (this.#mayBegin && next < this.#waiting.length) {
      this.#handle(this.#waiting[next]!)
      next += 1
    }
    this.#waiting.splice(0, next)
  }

  /** Runs the handler; returns its promise if it is async. */
  #call(event: ClientEvent): Promise<void> | undefined {
    const name = EVENT_OF_COMMAND[event.command]
    const { events } = this.#around
    if (name === undefined || events[name] === undefined || (this.#isClosing && name !== 'onClose')) return undefined
    const isClose = name === 'onClose'
    const facts: EventFacts = {
      closeReason: isClose ? (event.payload as CloseReason | undefined) : undefined,
      number: this.#handled + 1,
      redelivered: event.redelivered,
    }
    const context = new Context(this.#facts, facts, this.#readSession)
    this.#context = context
    try {
      const result = currentClient.run(this, () => {
        switch (name) {
          case 'onMessage':
            return events.onMessage?.(this.clientId, event.payload as string | Buffer, context)
          case 'onWebSocketConnect':
            return events.onWebSocketConnect?.(this.clientId, readHandshakeRequest(event.payload), context)
          default:
            return events[name]?.(this.clientId, context)
        }
      })
      // Promise.resolve, because a thenable that is no promise may throw, or settle twice.
      return typeof result?.then === 'function' ? Promise.resolve(result) : undefined
    } catch (error) {
      this.#onError(event, error)
      return undefined
    }
  }

  readonly #readSession = (): Session => {
    this.#before = this.#session.bytes
    return this.#session.read()
  }

  /** Stores what the handler changed in the session; then the event is handled. */
  #settle(event: ClientEvent): void {
    const session = this.#context?.touchedSession
    this.#context = undefined
    if (session !== undefined && event.command !== Command.ON_CLOSE) this.#store(session, event)
    this.#handled += 1
    this.#link.onHandled(this)
    if (event.command === Command.ON_CLOSE) this.#link.onGone(this)
  }

  #store(session: Session, event: ClientEvent): void {
    try {
      const patch = this.#session.change(this.#before, session)
      if (patch !== undefined) this.#send(Command.PATCH_SESSION, msgpack.encode(patch))
    } catch (error) {
      this.#onError(event, error, 'session not stored: it holds a value that a session cannot hold')
    }
  }

  #onError({ command }: ClientEvent, err: unknown, message = 'a handler threw'): void {
    this.#around.log.error({ clientId: this.clientId, event: EVENT_OF_COMMAND[command], err }, message)
    if (command !== Command.ON_WEBSOCKET_CONNECT) return
    this.#isClosing = true
    this.#send(Command.REFUSE_CLIENT)
  }

  #send(command: number, ext: Uint8Array = EMPTY): void {
    const flag = command === Command.PATCH_SESSION ? Flag.OWN_CHANGE : 0
    this.#link.send(command, this.connectionId, flag, ext)
  }
}

function mergeInto(bytes: Buffer, session: Session): Buffer {
  const before = bytes.length === 0 ? {} : (msgpack.decode(bytes) as Session)
  return Buffer.from(encodeSession(mergeSessions(before, session)))
}

/** Gives an object that a handler holds other contents. */
function refill(target: Session, source: Session): void {
  for (const key of Object.keys(target)) delete target[key]
  Object.assign(target, source)
}
