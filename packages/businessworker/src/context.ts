import type { Session } from '@gatewayworker/gateway-client'
import { type CloseReason, GatewayWorkerError, isPlainObject } from '@gatewayworker/protocol'

/** Where a client is and comes from, as its gateway says it once. */
export interface ClientFacts {
  readonly clientId: string
  /** The gateway's LAN IP. */
  readonly gatewayAddress: string
  /** The port that the client connected to. */
  readonly gatewayPort: number
  readonly remoteAddress: string
  readonly remotePort: number
}

/** What a handler is told of the event itself. */
export interface EventFacts {
  readonly closeReason: CloseReason | undefined
  /** Its place in the client's life: the first event has 1. */
  readonly number: number
  readonly redelivered: boolean
}

/** What a handler knows of the client besides its id: PHP's $_SESSION and $_SERVER. One object for each event. */
export class Context {
  readonly #event: EventFacts
  readonly #facts: ClientFacts
  readonly #readSession: () => Session
  #session: Session | undefined

  constructor(facts: ClientFacts, event: EventFacts, readSession: () => Session) {
    this.#event = event
    this.#facts = facts
    this.#readSession = readSession
  }

  /** The client's session: change it, or assign another one, and it is stored when the handler has settled. */
  get session(): Session {
    this.#session ??= this.#readSession()
    return this.#session
  }

  set session(session: Session) {
    if (!isPlainObject(session)) throw new GatewayWorkerError('BAD_SESSION', 'a session is a plain object')
    this.#session ??= this.#readSession() // what it was is compared when the handler has settled
    this.#session = session
  }

  /** The session if the handler has looked at it. */
  get touchedSession(): Session | undefined {
    return this.#session
  }

  /** In onClose, why the client is gone; undefined in other handlers, and where a PHP gateway tells it. */
  get closeReason(): CloseReason | undefined {
    return this.#event.closeReason
  }

  /** A name for this event that stays the same when it is delivered again: remember it where a second time would do harm. */
  get messageId(): string {
    return `${this.#facts.clientId}-${this.#event.number}`
  }

  /** Whether a worker that has died, or was cut off, may have handled this event already. */
  get redelivered(): boolean {
    return this.#event.redelivered
  }

  get clientId(): string {
    return this.#facts.clientId
  }

  get gatewayAddress(): string {
    return this.#facts.gatewayAddress
  }

  get gatewayPort(): number {
    return this.#facts.gatewayPort
  }

  get remoteAddress(): string {
    return this.#facts.remoteAddress
  }

  get remotePort(): number {
    return this.#facts.remotePort
  }
}
