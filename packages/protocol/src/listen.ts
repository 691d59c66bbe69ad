import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { msgpack } from './codec.ts'
import { Command, LinkCommand } from './commands.ts'
import { nativeDialect } from './dialect.ts'
import { GatewayWorkerError } from './errors.ts'
import { DEFAULT_MAX_FRAME_BYTES, EMPTY, type Frame } from './frame.ts'
import { decodeHello, type Hello, isSameSecret, NATIVE_VERSION } from './hello.ts'
import { LegacyDialect } from './legacy-dialect.ts'
import { Link, type LinkHandler, type LinkOptions } from './link.ts'
import { type Log, silentLog } from './log.ts'

export interface LinkListenerOptions extends LinkOptions {
  /** How long a connection may stay silent about who it is. Default 10 000. */
  helloTimeoutMs?: number
  host: string
  /** Random name of this process, told to every dialer. */
  instance: string
  /** The IPv4 address that the client ids of this gateway are made of; legacy workers are told it. Default 127.0.0.1. */
  lanIp?: string
  /** Who takes a link over once its dialer is known; the handler that it returns gets everything from then on. */
  onLink(link: Link, hello: Hello): LinkHandler
  /** 0 for any free one. */
  port: number
  /** '' lets everybody in, also legacy peers that say no hello. */
  secretKey: string
}

const DEFAULT_HELLO_TIMEOUT_MS = 10_000
/** Connections that may wait to be taken: PHP's backends come in bursts, and one that finds no room tries again after a second. */
const BACKLOG = 4096
/** A hello is short; nobody unknown makes us hold more. */
const MAX_HELLO_BYTES = 16 * 1024

/**
 * The LAN port: takes links and hands them on when their first frame has proved who dials, and has shown which dialect it speaks.
 * Until then a link may last ten seconds, and hold 16 KiB where a secret is asked for.
 */
export class LinkListener {
  readonly #links = new Set<Link>()
  /** Links that may still be silent, and when they came. One timer looks after all: PHP's backends make a new one for every call. */
  readonly #young = new Map<Link, number>()
  readonly #log: Log
  readonly #options: LinkListenerOptions
  readonly #server: Server
  #legacyDialect: LegacyDialect | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: LinkListenerOptions) {
    this.#options = options
    this.#log = options.log ?? silentLog
    // Half open, so that the link decides what becomes of its output.
    this.#server = createServer({ allowHalfOpen: true }, this.#onConnection)
  }

  /** Resolves with the bound address; rejects with the system's error, EADDRINUSE for one. */
  listen(): Promise<AddressInfo> {
    const { helloTimeoutMs = DEFAULT_HELLO_TIMEOUT_MS, host, lanIp = '127.0.0.1', port } = this.#options
    this.#timer = setInterval(this.#checkYoungLinks, helloTimeoutMs / 10).unref()
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      // exclusive: a LAN port belongs to one process, also under node:cluster
      this.#server.listen({ backlog: BACKLOG, host, port, exclusive: true }, () => {
        this.#server.off('error', reject)
        this.#server.on('error', (err) => this.#log.error({ err }, 'the LAN port failed'))
        const address = this.#server.address() as AddressInfo
        this.#legacyDialect = new LegacyDialect(lanIp, address.port)
        resolve(address)
      })
    })
  }

  /** Takes no more links and ends those there are, after their output. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const link of this.#links) link.close()
    clearInterval(this.#timer)
    await closed
  }

  readonly #onConnection = (socket: Socket): void => {
    const { maxFrameBytes, secretKey } = this.#options
    const link = new Link(socket, undefined, this.#unknownPeer, {
      ...this.#options,
      // Without a secret the first frame may be a command, as long as any.
      maxFrameBytes: secretKey === '' ? maxFrameBytes : MAX_HELLO_BYTES,
    })
    this.#links.add(link)
    this.#young.set(link, performance.now())
    socket.once('close', () => {
      this.#links.delete(link)
      this.#young.delete(link)
    })
  }

  /** Who has not said hello in time is sent away; a legacy peer that stays is one to be watched over. */
  readonly #checkYoungLinks = (): void => {
    const { helloTimeoutMs = DEFAULT_HELLO_TIMEOUT_MS } = this.#options
    const tooLate = performance.now() - helloTimeoutMs
    for (const [link, since] of this.#young) {
      if (since > tooLate) return // so are all that follow
      this.#young.delete(link)
      if (link.handler === this.#unknownPeer) {
        link.destroy(new GatewayWorkerError('HELLO_TIMEOUT', `nothing was said within ${helloTimeoutMs} ms`))
      } else if (link.dialect !== nativeDialect) {
        link.relyOnTcp()
      }
    }
  }

  readonly #unknownPeer: LinkHandler = {
    onFrame: (frame, link) => this.#onFirstFrame(frame, link),
    onClose: (link, error) => {
      if (error)
        this.#log.warn(
          { peer: link.peer, code: error.code },
          `a connection to the LAN port was refused: ${error.message}`,
        )
    },
  }

  #onFirstFrame(frame: Frame, link: Link): void {
    const hello = decodeHello(frame)
    if (hello?.instance === undefined) {
      this.#onLegacyPeer(link, frame, hello)
      return
    }
    const { instance, maxFrameBytes = DEFAULT_MAX_FRAME_BYTES, onLink } = this.#options
    if (!this.#isTrusted(hello)) {
      link.refuse(wrongSecret())
      return
    }
    link.maxFrameBytes = maxFrameBytes
    link.startKeepAlive()
    link.send(LinkCommand.HELLO, 0, 0, EMPTY, msgpack.encode({ version: NATIVE_VERSION, instance }))
    const handler = onLink(link, hello)
    link.handler = {
      ...handler,
      // What follows a hello is a question that only legacy gateways answer.
      onFrame: (next) => {
        link.handler = handler
        if (next.command !== Command.IS_ONLINE || next.id !== 0) handler.onFrame(next, link)
      },
    }
  }

  /** PHP's: says hello without `native`, or, where no secret is asked for, none at all. It is told nothing when it is not let in. */
  #onLegacyPeer(link: Link, firstFrame: Frame, hello: Hello | undefined): void {
    const { maxFrameBytes = DEFAULT_MAX_FRAME_BYTES, onLink } = this.#options
    if (!this.#isTrusted(hello)) {
      link.destroy(wrongSecret())
      return
    }
    link.dialect = this.#legacyDialect!
    link.maxFrameBytes = maxFrameBytes
    if (hello?.role.kind === 'worker') link.relyOnTcp()
    const handler = onLink(link, hello ?? { instance: undefined, role: { kind: 'client' }, secretKey: '' })
    link.handler = { ...handler, onFrame: (frame) => this.#onLegacyFrame(frame, link, handler) }
    if (hello === undefined) handler.onFrame(firstFrame, link)
  }

  #onLegacyFrame(frame: Frame, link: Link, handler: LinkHandler): void {
    // A connection that PHP keeps for several commands says hello before each.
    const hello = decodeHello(frame)
    if (hello === undefined) handler.onFrame(frame, link)
    else if (!this.#isTrusted(hello)) link.destroy(wrongSecret())
  }

  #isTrusted(hello: Hello | undefined): boolean {
    const { secretKey } = this.#options
    return secretKey === '' || isSameSecret(hello?.secretKey ?? '', secretKey)
  }
}

function wrongSecret(): GatewayWorkerError {
  return new GatewayWorkerError('WRONG_SECRET', 'the secret key is missing or wrong')
}
