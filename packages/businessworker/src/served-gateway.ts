import type { PooledGateway } from '@gatewayworker/gateway-client'
import { type CloseReason, Command, EMPTY, Flag, type Frame, msgpack } from '@gatewayworker/protocol'
import type { Acknowledger } from './acknowledger.ts'
import type { ClientFacts } from './context.ts'
import { type ClientEvent, type LinkSurroundings, ServedClient, type WorkerSurroundings } from './served-client.ts'

const PAIR_BYTES = 8

/** The clients that a worker serves by one link to a gateway, from its beginning to its end and what comes of that. */
export class ServedGateway implements LinkSurroundings {
  readonly address: string
  readonly gatewayAddress: string
  readonly gatewayKey: string
  /** Random name of the gateway's process; PHP's have none. */
  readonly instance: string | undefined
  readonly #acknowledger: Acknowledger
  readonly #around: WorkerSurroundings
  readonly #clients = new Map<number, ServedClient>()
  readonly #gateway: PooledGateway
  #handled: ServedClient[] = []
  #hasLeft = false
  isLinked = true

  constructor(
    gateway: PooledGateway,
    instance: string | undefined,
    acknowledger: Acknowledger,
    around: WorkerSurroundings,
  ) {
    this.address = gateway.address
    this.gatewayAddress = gateway.address.slice(0, gateway.address.lastIndexOf(':'))
    this.gatewayKey = gateway.key
    this.instance = instance
    this.#acknowledger = acknowledger
    this.#around = around
    this.#gateway = gateway
  }

  get clientCount(): number {
    return this.#clients.size
  }

  /** What the gateway says. */
  onFrame(frame: Frame): void {
    const { command, connectionId } = frame
    if (command === Command.CLIENT_CONTEXT) {
      const origin = msgpack.decode(frame.body) as ClientFacts
      const client = new ServedClient(connectionId, origin, frame.ext, frame.id, this, this.#around)
      this.#clients.set(connectionId, client)
      const predecessor = this.#around.unfinished.get(client.clientId)
      if (predecessor !== undefined) client.beginAfter(predecessor)
      return
    }
    const client = this.#clients.get(connectionId)
    if (client === undefined) return
    if (command === Command.SESSION_CHANGED) {
      client.onSessionChanged(frame.ext, (frame.flag & Flag.OWN_CHANGE) !== 0)
      return
    }
    client.onEvent(readEvent(frame))
  }

  /** Asks for nothing new; resolves when nothing more comes. */
  async leave(deadlineMs: number): Promise<void> {
    await this.#gateway.link?.ask(Command.LEAVE, deadlineMs)
    this.#hasLeft = true
  }

  /** The link has ended. If the gateway has let us go, others serve the clients that we were done with. */
  onDown(): void {
    this.isLinked = false
    for (const [connectionId, client] of this.#clients) {
      if (this.#hasLeft && !client.isOccupied) this.#clients.delete(connectionId)
      else client.suspend()
    }
  }

  /** The gateway is gone for good, and its clients with it. */
  onLost(): void {
    for (const client of [...this.#clients.values()]) client.onGatewayLost()
  }

  /** The gateway is there, and has others serve its clients, or has told us anew. */
  release(): void {
    for (const client of this.#clients.values()) client.abandon()
    this.#clients.clear()
  }

  onGone(client: ServedClient): void {
    if (this.#clients.get(client.connectionId) === client) this.#clients.delete(client.connectionId)
  }

  onHandled(client: ServedClient): void {
    this.#around.counters.handledEvents += 1
    if (client.isToAcknowledge || !this.isLinked) return
    client.isToAcknowledge = true
    if (this.#handled.push(client) === 1) this.#acknowledger.add(this)
  }

  /** Which events were handled since the last time: pairs of connection id and number. */
  takeAcknowledgement(): Buffer {
    const pairs = Buffer.allocUnsafe(this.#handled.length * PAIR_BYTES)
    let at = 0
    for (const client of this.#handled) {
      client.isToAcknowledge = false
      pairs.writeUInt32BE(client.connectionId, at)
      pairs.writeUInt32BE(client.handledCount % 2 ** 32, at + 4)
      at += PAIR_BYTES
    }
    this.#handled = []
    return pairs
  }

  acknowledge(pairs: Buffer): void {
    this.send(Command.ACKNOWLEDGE, 0, 0, EMPTY, pairs)
  }

  send(command: number, connectionId: number, flag: number, ext: Uint8Array, body: Uint8Array = EMPTY): void {
    if (this.isLinked) this.#gateway.orders.sendOnLink({ body, command, connectionId, ext, flag })
  }
}

function readEvent(frame: Frame): ClientEvent {
  const { command, flag } = frame
  return { command, payload: readPayload(frame), redelivered: (flag & Flag.REDELIVERED) !== 0 }
}

function readPayload(frame: Frame): unknown {
  switch (frame.command) {
    case Command.ON_MESSAGE:
      return (frame.flag & Flag.BINARY) === 0 ? frame.bodyText : Buffer.from(frame.body)
    case Command.ON_WEBSOCKET_CONNECT:
      return msgpack.decode(frame.body)
    case Command.ON_CLOSE:
      // PHP's gateways do not say why.
      return frame.bodyLength === 0 ? undefined : (msgpack.decode(frame.body) as { reason?: CloseReason }).reason
    default:
      return undefined
  }
}
