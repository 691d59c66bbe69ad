import type { Socket } from 'node:net'
import { msgpack } from './codec.ts'
import { Command, Flag, LinkCommand } from './commands.ts'
import { type Credentials, legacyNotAllowed, mayTellSecret, rememberNative } from './credentials.ts'
import { GatewayWorkerError } from './errors.ts'
import { DEFAULT_MAX_FRAME_BYTES, EMPTY, type Frame } from './frame.ts'
import { encodeHello, type Hello, MAX_HELLO_BYTES } from './hello.ts'
import { LegacyGateway } from './legacy-gateway.ts'
import { Link, type LinkHandler, type LinkOptions } from './link.ts'
import { createNonce, isProof, prove } from './proof.ts'
import { errorFromPeer } from './questions.ts'
import { dialSocket } from './tls.ts'

export interface DialerOptions extends LinkOptions, Omit<Credentials, 'secretKey'> {
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
  'ask' | 'bufferedBytes' | 'flush' | 'isClosed' | 'isFull' | 'pause' | 'resume' | 'send' | 'written'
>

const DEFAULT_HELLO_TIMEOUT_MS = 5_000
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000

/**
 * Keeps one link to one gateway up: dials, says hello, and dials again with growing pauses whenever the link ends, until closed.
 *
 * ```
 * dial ──▶ connected ──▶ hello said ─┬─▶ CHALLENGE ─▶ PROOF said ─▶ HELLO with its proof: onUp ──▶ … ──▶ closed: onDown ──▶ pause ──▶ dial
 *                                    └─▶ closed without a word, as by PHP: with `allowLegacy`, dial, and say the secret and a question, too
 *                                                                   ├─▶ a legacy answer or event: onUp ──▶ …
 *                                                                   └─▶ CHALLENGE: it is ours after all
 * ```
 * Without a secret there is no challenge, and the question comes with the first hello: our own gateways say HELLO first and answer no question
 * without an id; PHP's know no HELLO and answer every question.
 *
 * Invariants, where there is a secret: nobody is told it without `allowLegacy`; with it only who has closed as PHP's do, where none of ours has
 * been in the life of this process; no native link is up before the other side has proved that it knows the secret. The proof names the address
 * that was dialled, so that no other gateway takes it.
 */
export class Dialer {
  readonly #options: DialerOptions
  #link: Link | undefined
  /** The IP address at the other end of the connection; undefined until it stands. */
  #ip: string | undefined
  #challenge: Buffer | undefined
  #closed = false
  #failures = 0
  #hello: [command: string, body: string] = ['', '']
  #retry: NodeJS.Timeout | undefined
  /** Whether the last who answered there was PHP's, or closed without a word. */
  #saysSecret = false

  constructor(options: DialerOptions) {
    this.#options = options
    this.#dial()
  }

  /** Ends the link after its output was written, and dials no more. Resolves when that is so. */
  async close(timeoutMs?: number): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    await this.#link?.close(timeoutMs)
  }

  /** Ends the link at once, and dials no more. */
  destroy(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#link?.destroy()
  }

  /** Whether the other side may be PHP's. */
  get #expectsLegacy(): boolean {
    const { hello, tls } = this.#options
    return tls === undefined && (this.#saysSecret || hello.secretKey === '')
  }

  #dial(): void {
    const {
      helloTimeoutMs = DEFAULT_HELLO_TIMEOUT_MS,
      host,
      maxFrameBytes,
      persistent = true,
      port,
      tls,
    } = this.#options
    this.#ip = undefined
    this.#challenge = undefined
    const socket = dialSocket({ host, port }, tls, (socket) => this.#sayHello(link, socket))
    if (!persistent) socket.unref()
    const link = new Link(socket, `${host}:${port}`, this.#unansweredHello, {
      ...this.#options,
      maxFrameBytes: this.#expectsLegacy ? maxFrameBytes : MAX_HELLO_BYTES,
    })
    this.#link = link
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

  #sayHello(link: Link, { remoteAddress = '' }: Socket): void {
    const { hello } = this.#options
    this.#ip = remoteAddress
    if (this.#saysSecret && !this.#mayBeLegacy) {
      link.destroy(legacyNotAllowed(this.#address, this.#ip)) // its name stands for another host now
      return
    }
    const proved = hello.secretKey === '' ? undefined : { nonce: createNonce(), to: this.#address }
    const { command, body } = encodeHello(hello, proved, this.#expectsLegacy || proved === undefined)
    this.#hello = [String(command), body]
    link.send(command, 0, Flag.SCALAR, EMPTY, body)
    if (!this.#expectsLegacy) return
    link.send(Command.IS_ONLINE, 0, Flag.SCALAR)
    link.takesBareAnswers = true
  }

  #onLinkClosed(link: Link): void {
    if (this.#closed) return
    const { onDown } = this.#options
    const wasRefused = this.#wasRefusedAsByPhp(link)
    const wasTold = this.#saysSecret
    if (wasRefused) {
      this.#saysSecret = !wasTold && this.#mayBeLegacy
      if (this.#saysSecret) {
        this.#dial()
        return
      }
    }
    const retryMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures) * (0.75 + Math.random() / 2)
    this.#failures += 1
    this.#retry = setTimeout(() => this.#dial(), retryMs)
    if (this.#options.persistent === false) this.#retry.unref()
    onDown(this.#explain(link, wasRefused, wasTold), Math.round(retryMs))
  }

  /** Whether the other side has heard the hello, and has closed without a word: PHP's do where the secret is not the right one. */
  #wasRefusedAsByPhp({ closedError, handler }: Link): boolean {
    const { hello, tls } = this.#options
    const { secretKey } = hello
    const hasSaidHello = this.#ip !== undefined
    const isUnanswered = handler === this.#unansweredHello && this.#challenge === undefined
    const wasClosed = closedError.code === 'LINK_CLOSED' && closedError.cause === undefined
    return (secretKey !== '' || tls !== undefined) && hasSaidHello && isUnanswered && wasClosed
  }

  get #mayBeLegacy(): boolean {
    return mayTellSecret(this.#options, this.#address, this.#ip)
  }

  /** "IPv4:port" as the gateway announces it, which is where it is dialled. */
  get #address(): string {
    return `${this.#options.host}:${this.#options.port}`
  }

  /** Why the link has ended, and what may be the reason. */
  #explain({ closedError, handler }: Link, wasRefused: boolean, wasTold: boolean): GatewayWorkerError {
    const { host, port, tls } = this.#options
    if (wasRefused && tls === undefined && !wasTold) return legacyNotAllowed(this.#address, this.#ip)
    if (wasRefused) {
      const question =
        tls === undefined
          ? 'is the secret key the same? Or does it speak TLS?'
          : 'does it take certificates of the same CA?'
      const words = `${host}:${port} closed the connection without a word; ${question}`
      return new GatewayWorkerError('HELLO_REFUSED', words)
    }
    // A TLS alert, for one, is no frame.
    if (closedError.code !== 'FRAME_TOO_LONG' || handler !== this.#unansweredHello || tls !== undefined)
      return closedError
    return new GatewayWorkerError(closedError.code, `${closedError.message}; does ${host}:${port} speak TLS, or HTTP?`)
  }

  readonly #unansweredHello: LinkHandler = {
    onFrame: (frame, link) => this.#onFirstFrame(frame, link),
    onBareAnswer: (_isOnline, link) => this.#onLegacyGateway(link),
  }

  #onFirstFrame(frame: Frame, link: Link): void {
    switch (frame.command) {
      case LinkCommand.CHALLENGE:
        this.#onChallenge(frame, link)
        return
      case LinkCommand.HELLO:
        this.#onNativeGateway(frame, link)
        return
      case LinkCommand.REFUSED:
        link.destroy(errorFromPeer(frame.body))
        return
      case Command.ON_CONNECT:
      case Command.ON_WEBSOCKET_CONNECT:
      case Command.ON_MESSAGE:
      case Command.ON_CLOSE:
        if (!this.#expectsLegacy) break
        this.#onLegacyGateway(link, frame)
        return
    }
    throw new GatewayWorkerError('BAD_HELLO', `${link.peer} answered the hello with command ${frame.command}`)
  }

  #onChallenge(frame: Frame, link: Link): void {
    const { secretKey } = this.#options.hello
    if (secretKey === '' || this.#challenge !== undefined) {
      throw new GatewayWorkerError('BAD_HELLO', `${link.peer} asks for a proof out of turn`)
    }
    this.#saysSecret = false
    this.#challenge = Buffer.from(frame.body)
    link.takesBareAnswers = false
    link.send(LinkCommand.PROOF, 0, 0, EMPTY, prove(secretKey, 'link-dialer', [...this.#hello, this.#challenge]))
  }

  #onNativeGateway(frame: Frame, link: Link): void {
    const { hello, maxFrameBytes = DEFAULT_MAX_FRAME_BYTES, onUp } = this.#options
    const { instance, proof } = (msgpack.decode(frame.body) ?? {}) as { instance?: unknown; proof?: unknown }
    if (typeof instance !== 'string') {
      throw new GatewayWorkerError('BAD_HELLO', `${link.peer} did not say which process it is`)
    }
    if (hello.secretKey !== '' && !this.#isProofOf(instance, proof)) {
      throw new GatewayWorkerError('WRONG_SECRET', `${link.peer} did not prove that it knows the secret key`)
    }
    if (hello.secretKey !== '') rememberNative(this.#address)
    link.takesBareAnswers = false
    link.maxFrameBytes = maxFrameBytes
    link.startKeepAlive()
    this.#failures = 0
    link.handler = onUp(link, instance)
  }

  #isProofOf(instance: string, proof: unknown): boolean {
    if (this.#challenge === undefined) return false
    return isProof(proof, this.#options.hello.secretKey, 'link-listener', [...this.#hello, this.#challenge, instance])
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
