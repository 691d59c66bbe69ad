import { connect } from 'node:net'
import { msgpack } from './codec.ts'
import { Flag, LinkCommand } from './commands.ts'
import { GatewayWorkerError } from './errors.ts'
import { EMPTY, type Frame } from './frame.ts'
import { encodeHello, type Hello } from './hello.ts'
import { Link, type LinkHandler, type LinkOptions } from './link.ts'
import { errorFromPeer } from './questions.ts'

export interface DialerOptions extends LinkOptions {
  hello: Hello
  /** How long the other side may take to accept, from the call to its HELLO. Default 5 000. */
  helloTimeoutMs?: number
  host: string
  /** The link broke or could not be made; it is dialled again after `retryMs`. */
  onDown(error: GatewayWorkerError, retryMs: number): void
  /** The other side has let us in; the handler that this returns gets everything from then on. */
  onUp(link: Link, peerInstance: string): LinkHandler
  port: number
}

const DEFAULT_HELLO_TIMEOUT_MS = 5_000
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000

/**
 * Keeps one link to one address up: dials, says hello, and dials again with growing pauses whenever the link ends, until closed.
 *
 * ```
 * dial ──▶ connected ──▶ hello said ──▶ HELLO heard: onUp ──▶ … ──▶ closed: onDown ──▶ pause ──▶ dial
 * ```
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
    const socket = connect({ host, port, noDelay: true })
    if (!persistent) socket.unref()
    const link = new Link(socket, `${host}:${port}`, this.#unansweredHello, this.#options)
    this.#link = link
    const { command, body } = encodeHello(hello)
    // The socket keeps it until the connection stands.
    link.send(command, 0, Flag.SCALAR, EMPTY, body)
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
  }

  #onFirstFrame(frame: Frame, link: Link): void {
    if (frame.command === LinkCommand.REFUSED) {
      link.destroy(errorFromPeer(frame.body))
      return
    }
    if (frame.command !== LinkCommand.HELLO) {
      throw new GatewayWorkerError('BAD_HELLO', `${link.peer} answered the hello with command ${frame.command}`)
    }
    const { instance } = (msgpack.decode(frame.body) ?? {}) as { instance?: unknown }
    if (typeof instance !== 'string') {
      throw new GatewayWorkerError('BAD_HELLO', `${link.peer} did not say which process it is`)
    }
    this.#failures = 0
    link.handler = this.#options.onUp(link, instance)
  }
}
