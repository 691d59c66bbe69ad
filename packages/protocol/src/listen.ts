import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { msgpack } from './codec.ts'
import { LinkCommand } from './commands.ts'
import { GatewayWorkerError } from './errors.ts'
import { DEFAULT_MAX_FRAME_BYTES, EMPTY, type Frame } from './frame.ts'
import { decodeHello, type Hello, isSameSecret, NATIVE_VERSION } from './hello.ts'
import { Link, type LinkHandler, type LinkOptions } from './link.ts'
import { type Log, silentLog } from './log.ts'

export interface LinkListenerOptions extends LinkOptions {
  /** How long a connection may stay silent about who it is. Default 10 000. */
  helloTimeoutMs?: number
  host: string
  /** Random name of this process, told to every dialer. */
  instance: string
  /** Who takes a link over once its dialer is known; the handler that it returns gets everything from then on. */
  onLink(link: Link, hello: Hello): LinkHandler
  /** 0 for any free one. */
  port: number
  /** '' lets everybody in. */
  secretKey: string
}

const DEFAULT_HELLO_TIMEOUT_MS = 10_000
/** A hello is short; nobody unknown makes us hold more. */
const MAX_HELLO_BYTES = 16 * 1024

/**
 * The LAN port: takes links and hands them on when their first frame has proved who dials.
 * Until then a link may hold 16 KiB and last ten seconds.
 */
export class LinkListener {
  readonly #links = new Set<Link>()
  readonly #log: Log
  readonly #options: LinkListenerOptions
  readonly #server: Server

  constructor(options: LinkListenerOptions) {
    this.#options = options
    this.#log = options.log ?? silentLog
    this.#server = createServer({ noDelay: true }, this.#onConnection)
  }

  /** Resolves with the bound address; rejects with the system's error, EADDRINUSE for one. */
  listen(): Promise<AddressInfo> {
    const { host, port } = this.#options
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      // exclusive: a LAN port belongs to one process, also under node:cluster
      this.#server.listen({ host, port, exclusive: true }, () => {
        this.#server.off('error', reject)
        this.#server.on('error', (err) => this.#log.error({ err }, 'the LAN port failed'))
        resolve(this.#server.address() as AddressInfo)
      })
    })
  }

  /** Takes no more links and ends those there are, after their output. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const link of this.#links) link.close()
    await closed
  }

  readonly #onConnection = (socket: Socket): void => {
    const { helloTimeoutMs = DEFAULT_HELLO_TIMEOUT_MS } = this.#options
    const link = new Link(socket, `${socket.remoteAddress}:${socket.remotePort}`, this.#unknownPeer, {
      ...this.#options,
      maxFrameBytes: MAX_HELLO_BYTES,
    })
    this.#links.add(link)
    socket.once('close', () => this.#links.delete(link))
    const timer = setTimeout(() => {
      if (link.handler === this.#unknownPeer) {
        link.destroy(new GatewayWorkerError('HELLO_TIMEOUT', `nothing was said within ${helloTimeoutMs} ms`))
      }
    }, helloTimeoutMs)
    socket.once('close', () => clearTimeout(timer))
  }

  readonly #unknownPeer: LinkHandler = {
    onFrame: (frame, link) => this.#onHello(frame, link),
    onClose: (link, error) => {
      if (error)
        this.#log.warn(
          { peer: link.peer, code: error.code },
          `a connection to the LAN port was refused: ${error.message}`,
        )
    },
  }

  #onHello(frame: Frame, link: Link): void {
    const { instance, maxFrameBytes = DEFAULT_MAX_FRAME_BYTES, onLink, secretKey } = this.#options
    const hello = decodeHello(frame)
    if (!isSameSecret(hello.secretKey, secretKey) && secretKey !== '') {
      link.refuse(new GatewayWorkerError('WRONG_SECRET', 'the secret key is missing or wrong'))
      return
    }
    link.maxFrameBytes = maxFrameBytes
    link.send(LinkCommand.HELLO, 0, 0, EMPTY, msgpack.encode({ version: NATIVE_VERSION, instance }))
    link.handler = onLink(link, hello)
  }
}
