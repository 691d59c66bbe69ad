import { connect } from 'node:net'
import { msgpack } from './codec.ts'
import { Command, Flag, LinkCommand } from './commands.ts'
import { GatewayWorkerError } from './errors.ts'
import { EMPTY, type Frame } from './frame.ts'
import { encodeHello, type Hello } from './hello.ts'
import { LegacyGateway } from './legacy-gateway.ts'
import { Link, type LinkHandler, type LinkOptions } from './link.ts'
import { errorFromPeer } from './questions.ts'

export interface DialerOptions extends LinkOptions {
  hello: Hello
  /** How long the other side may take to accept, from the call to its HELLO. Default 5 000. */
  helloTimeoutMs?: number
  host: string
  /** The link broke or could not be made; it is dialled again after `retryMs`. */
  onDown(error: GatewayWorkerError, retryMs: number): void
  /** The other side has let us in; the handler that this returns gets everything from then on. A legacy gateway has no instance. */
  onUp(link: GatewayLink, peerInstance: string | undefined): LinkHandler
  port: number
}

/** A link to a gateway, whichever dialect that speaks. */
export type GatewayLink = Pick<
  Link,
  'ask' | 'bufferedBytes' | 'drained' | 'flush' | 'isClosed' | 'isFull' | 'pause' | 'resume' | 'send' | 'written'
>

const DEFAULT_HELLO_TIMEOUT_MS = 5_000
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000

/**
 * Keeps one link to one gateway up: dials, says hello, and dials again with growing pauses whenever the link ends, until closed.
 *
 * ```
 * dial ──▶ connected ──▶ hello and a legacy question said ─┬─▶ HELLO heard: onUp ────────────────────▶ … ──▶ closed: onDown ──▶ pause ──▶ dial
 *                                                          └─▶ a legacy answer or event heard: onUp ──┘
 * ```
 * Our own gateways say HELLO first and answer no question without an id; PHP's know no HELLO and answer every question.
 */
export class Dialer {
  readonly #options: DialerOptions
  #link: Link | undefined
  #closed = false
  #failures = 0
  #retry: NodeJS.Timeout | undefined

  constructor(options: DialerOptions) {
    this.#options = options
    this.#dial()
  }

  /** Ends the link after its output was written, and dials no more. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#link?.close()
  }

  /** Ends the link at once, and dials no more. */
  destroy(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#link?.destroy()
  }

  #dial(): void {
    const { hello, helloTimeoutMs = DEFAULT_HELLO_TIMEOUT_MS, host, persistent = true, port } = this.#options
    const socket = connect({ host, port })
    if (!persistent) socket.unref()
    const link = new Link(socket, `${host}:${port}`, this.#unansweredHello, this.#options)
    this.#link = link
    const { command, body } = encodeHello(hello)
    // The socket keeps it until the connection stands.
    link.send(command, 0, Flag.SCALAR, EMPTY, body)
    link.send(Command.IS_ONLINE, 0, Flag.SCALAR)
    link.takesBareAnswers = true
    const timer = setTimeout(() => {
      if (link.handler !== this.#unansweredHello) return
      link.destroy(
        new GatewayWorkerError('HELLO_TIMEOUT', `${host}:${port} did not answer within ${helloTimeoutMs} ms`),
      )
    }, helloTimeoutMs)
    if (!persistent) timer.unref()
    socket.once('close', () => {
      clearTimeout(timer)
      this.#onLinkClosed(link)
    })
  }

  #onLinkClosed(link: Link): void {
    if (this.#closed) return
    const { onDown } = this.#options
    const retryMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures) * (0.75 + Math.random() / 2)
    this.#failures += 1
    this.#retry = setTimeout(() => this.#dial(), retryMs)
    if (this.#options.persistent === false) this.#retry.unref()
    onDown(link.closedError, Math.round(retryMs))
  }

  readonly #unansweredHello: LinkHandler = {
    onFrame: (frame, link) => this.#onFirstFrame(frame, link),
    onBareAnswer: (_isOnline, link) => this.#onLegacyGateway(link),
  }

  #onFirstFrame(frame: Frame, link: Link): void {
    switch (frame.command) {
      case LinkCommand.HELLO:
        this.#onNativeGateway(frame, link)
        break
      case LinkCommand.REFUSED:
        link.destroy(errorFromPeer(frame.body))
        break
      case Command.ON_CONNECT:
      case Command.ON_WEBSOCKET_CONNECT:
      case Command.ON_MESSAGE:
      case Command.ON_CLOSE:
        this.#onLegacyGateway(link, frame)
        break
      default:
        throw new GatewayWorkerError('BAD_HELLO', `${link.peer} answered the hello with command ${frame.command}`)
    }
  }

  #onNativeGateway(frame: Frame, link: Link): void {
    const { instance } = (msgpack.decode(frame.body) ?? {}) as { instance?: unknown }
    if (typeof instance !== 'string') {
      throw new GatewayWorkerError('BAD_HELLO', `${link.peer} did not say which process it is`)
    }
    link.takesBareAnswers = false
    link.startKeepAlive()
    this.#failures = 0
    link.handler = this.#options.onUp(link, instance)
  }

  #onLegacyGateway(link: Link, firstEvent?: Frame): void {
    this.#failures = 0
    const gateway = new LegacyGateway(link, this.#options.log)
    gateway.handler = this.#options.onUp(gateway, undefined)
    link.handler = gateway
    if (firstEvent === undefined) return
    gateway.expectAnswer() // to the question that came with the hello
    gateway.onFrame(firstEvent)
  }
}
