import { type CurrentClient, currentClient, type Session } from '@gatewayworker/gateway-client'
import {
  type CloseReason,
  Command,
  EMPTY,
  encodeClientId,
  Flag,
  type Log,
  mergeSessions,
  msgpack,
} from '@gatewayworker/protocol'
import { type ClientFacts, Context, type EventFacts } from './context.ts'
import type { Events } from './events.ts'
import { readHandshakeRequest } from './handshake-request.ts'
import { SessionCopy } from './session-copy.ts'

/** An event of a client, taken out of its frame. */
export interface ClientEvent {
  /** What the payload weighs, in bytes. */
  readonly bytes: number
  readonly command: number
  /** The message, or the handshake as it came, or why the client is gone. */
  readonly payload: unknown
  readonly redelivered: boolean
}

/** What all clients of a worker share. */
export interface WorkerSurroundings {
  readonly counters: { handledEvents: number }
  readonly events: Events
  readonly log: Log
  /** A handler of some client has begun, or settled. */
  onHandler(change: 1 | -1): void
}

/** What the clients of one link share: the link, and who is told that their events are handled. */
export interface LinkSurroundings {
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

/** From this many waiting events or bytes on the gateway is asked not to read from the client, until few of both are left. */
const MANY_EVENTS = 64
const FEW_EVENTS = 16
const MANY_BYTES = 256 * 1024
const FEW_BYTES = 64 * 1024

/**
 * A client that this worker serves: its events one after the other, and its session.
 *
 * Invariants: a handler begins when the one before it has settled, and was written back; a handler that is not async and finds
 * nothing waiting runs in the turn in which its event came; after a refusal or an end of the application's making only onClose runs; while
 * its gateway cannot be heard, no handler begins.
 */
export class ServedClient implements CurrentClient {
  readonly clientId: string
  readonly connectionId: number
  /** The acknowledgement that is to come has it already. */
  isToAcknowledge = false
  readonly #around: WorkerSurroundings
  readonly #facts: ClientFacts
  readonly #link: LinkSurroundings
  readonly #session: SessionCopy
  #before: Session = {}
  #context: Context | undefined
  #handled: number
  #hasLeft = false
  #isBusy = false
  #isClosing = false
  #isGatewayPaused = false
  #isSuspended = false
  #waiting: ClientEvent[] = []
  #waitingBytes = 0

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
    return this.#isBusy || this.#waiting.length > 0
  }

  /** An event of the client has come. */
  onEvent(event: ClientEvent): void {
    if (event.command === Command.ON_CLOSE) this.#hasLeft = true
    if (!this.#isBusy && !this.#isSuspended) {
      this.#handle(event)
      return
    }
    this.#waiting.push(event)
    this.#waitingBytes += event.bytes
    const isMuch = this.#waiting.length >= MANY_EVENTS || this.#waitingBytes >= MANY_BYTES
    if (isMuch && !this.#isGatewayPaused) this.#pauseGateway(true)
  }

  /** Its gateway cannot be heard any more. */
  suspend(): void {
    this.#isSuspended = true
  }

  /** Its gateway will never be heard again: what came before is handled, and then that it is gone. */
  onGatewayLost(): void {
    if (!this.#hasLeft) {
      this.onEvent({ bytes: 0, command: Command.ON_CLOSE, payload: 'gateway_lost', redelivered: false })
    }
    this.#isSuspended = false
    if (!this.#isBusy) this.#handleWaiting()
  }

  onSessionChanged(bytes: Buffer, isOwn: boolean): void {
    this.#session.onChanged(bytes, isOwn)
  }

  onClosing(): void {
    this.#isClosing = true
  }

  onSessionWritten(kind: 'replace' | 'merge', session: Session): void {
    this.#session.onWritten(kind, session)
    if (this.#context?.touchedSession === undefined) return
    // What the handler itself has changed so far is still to be stored when it settles.
    this.#before = kind === 'replace' ? this.#session.read() : mergeSessions(this.#before, session)
    const { touchedSession } = this.#context
    refill(touchedSession, kind === 'replace' ? this.#session.read() : mergeSessions(touchedSession, session))
  }

  #handle(event: ClientEvent): void {
    const result = this.#call(event)
    if (result === undefined) {
      this.#settle(event)
      return
    }
    this.#isBusy = true
    this.#around.onHandler(1)
    result.then(
      () => this.#onSettled(event),
      (error) => {
        this.#onError(event, error)
        this.#onSettled(event)
      },
    )
  }

  #onSettled(event: ClientEvent): void {
    this.#settle(event)
    this.#isBusy = false
    this.#handleWaiting()
    this.#around.onHandler(-1) // not before: the next one has begun, so that the worker is not idle in between
  }

  #handleWaiting(): void {
    let next = 0
    while (!this.#isBusy && !this.#isSuspended && next < this.#waiting.length) {
      const waiting = this.#waiting[next]!
      this.#waitingBytes -= waiting.bytes
      this.#handle(waiting)
      next += 1
    }
    this.#waiting.splice(0, next)
    const isLittle = this.#waiting.length <= FEW_EVENTS && this.#waitingBytes <= FEW_BYTES
    if (this.#isGatewayPaused && isLittle) this.#pauseGateway(false)
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
    this.#before = this.#session.read()
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
      this.#onError(event, error)
    }
  }

  #onError({ command }: ClientEvent, err: unknown): void {
    this.#around.log.error({ clientId: this.clientId, event: EVENT_OF_COMMAND[command], err }, 'a handler threw')
    if (command !== Command.ON_WEBSOCKET_CONNECT) return
    this.#isClosing = true
    this.#send(Command.REFUSE_CLIENT)
  }

  #pauseGateway(pause: boolean): void {
    this.#isGatewayPaused = pause
    this.#send(pause ? Command.PAUSE_CLIENT : Command.RESUME_CLIENT)
  }

  #send(command: number, ext: Uint8Array = EMPTY): void {
    const flag = command === Command.PATCH_SESSION ? Flag.OWN_CHANGE : 0
    this.#link.send(command, this.connectionId, flag, ext)
  }
}

/** Gives an object that a handler holds other contents. */
function refill(target: Session, source: Session): void {
  for (const key of Object.keys(target)) delete target[key]
  Object.assign(target, source)
}
