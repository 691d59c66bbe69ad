import type { AddressInfo, Server, Socket } from 'node:net'
import { msgpack } from './codec.ts'
import { Command, LinkCommand } from './commands.ts'
import type { Credentials } from './credentials.ts'
import { GatewayWorkerError } from './errors.ts'
import { DEFAULT_MAX_FRAME_BYTES, EMPTY, type Frame } from './frame.ts'
import { decodeHello, type Hello, isSameSecret, MAX_HELLO_BYTES, NATIVE_VERSION, type ReceivedHello } from './hello.ts'
import { LegacyDialect } from './legacy-dialect.ts'
import { Link, type LinkHandler, type LinkOptions } from './link.ts'
import { type Log, silentLog } from './log.ts'
import { findAddressToBind, isLoopback } from './network-address.ts'
import { createNonce, type Digest, digest, isProof, prove } from './proof.ts'
import { RepeatedWarnings } from './repeated-warnings.ts'
import { Strangers } from './strangers.ts'
import { createSocketServer } from './tls.ts'

export interface LinkListenerOptions extends LinkOptions, Credentials {
  /** How long a connection may stay silent about who it is. Default 10 000. */
  helloTimeoutMs?: number
  host: string
  /** Random name of this process, told to every dialer. */
  instance: string
  /**
   * The IPv4 address under which this gateway is announced: a native dialer has to mean it, and legacy workers are told it, as the client ids
   * are made of it. Default 127.0.0.1.
   */
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

/**
 * The LAN port: takes links and hands them on when their dialer has shown that it knows the secret, and which dialect it speaks.
 *
 * Invariants, where there is a secret: nothing of a link is handed on before that; until then it lasts ten seconds and holds 4 KiB; a native
 * peer is told nothing that depends on the secret before it has proved that it knows it, and let in only if the proof was made for this gateway.
 */
export class LinkListener {
  readonly #links = new Set<Link>()
  /** Legacy links that may be of those which last one command, and when they were let in. */
  readonly #shortLived = new Map<Link, number>()
  /** One timer looks after all of them: PHP's backends make a new link for every call. */
  readonly #strangers: Strangers<Link>
  readonly #log: Log
  readonly #warnings: RepeatedWarnings
  /** "IPv4:port" as it is announced. */
  #lanAddress = ''
  #options: LinkListenerOptions
  readonly #server: Server
  #legacyDialect: LegacyDialect | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: LinkListenerOptions) {
    this.#options = options
    this.#log = options.log ?? silentLog
    this.#warnings = new RepeatedWarnings(this.#log)
    const { helloTimeoutMs = DEFAULT_HELLO_TIMEOUT_MS, tls } = options
    this.#strangers = new Strangers(helloTimeoutMs)
    // Half open, so that the link decides what becomes of its output.
    this.#server = createSocketServer({
      allowHalfOpen: true,
      onRefused: (peer, reason) => this.#warn(peer, reason, reason),
      onSocket: this.#onConnection,
      patienceMs: helloTimeoutMs,
      tls,
    })
  }

  /** What dialers are told from now on, so that they take this for another process. */
  set instance(instance: string) {
    this.#options = { ...this.#options, instance }
  }

  /** Resolves with the bound address; rejects with PUBLIC_WITHOUT_SECRET, WEAK_SECRET, or the system's error, EADDRINUSE for one. */
  async listen(): Promise<AddressInfo> {
    const { helloTimeoutMs = DEFAULT_HELLO_TIMEOUT_MS, lanIp = '127.0.0.1', port, secretKey } = this.#options
    const host = await findAddressToBind(this.#options.host, secretKey)
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      // exclusive: a LAN port belongs to one process, also under node:cluster
      this.#server.listen({ backlog: BACKLOG, host, port, exclusive: true }, () => {
        this.#server.off('error', reject)
        this.#server.on('error', (err) => this.#log.error({ err }, 'the LAN port failed'))
        const address = this.#server.address() as AddressInfo
        this.#timer = setInterval(this.#checkLinks, helloTimeoutMs / 10).unref()
        this.#lanAddress = `${lanIp}:${address.port}`
        this.#legacyDialect = new LegacyDialect(lanIp, address.port)
        resolve(address)
      })
    })
  }

  /** Takes no more links and ends those there are, after their output. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const link of this.#links) void link.close()
    clearInterval(this.#timer)
    await closed
    this.#warnings.close()
  }

  readonly #onConnection = (socket: Socket): void => {
    const { maxFrameBytes, secretKey } = this.#options
    const link = new Link(socket, undefined, this.#unknownPeer, {
      ...this.#options,
      // Without a secret the first frame may be a command, as long as any.
      maxFrameBytes: secretKey === '' ? maxFrameBytes : MAX_HELLO_BYTES,
    })
    this.#links.add(link)
    const tooMany = this.#strangers.add(link)
    socket.once('close', () => {
      this.#links.delete(link)
      this.#strangers.delete(link)
      this.#shortLived.delete(link)
    })
    if (tooMany !== undefined) sendAway(tooMany, 'too many others came')
  }

  /** Who has not shown in time who it is is sent away; a legacy peer that stays is one to be watched over. */
  readonly #checkLinks = (): void => {
    const { helloTimeoutMs = DEFAULT_HELLO_TIMEOUT_MS } = this.#options
    for (const link of this.#strangers.takeLate()) sendAway(link, `not within ${helloTimeoutMs} ms`)
    const tooLate = performance.now() - helloTimeoutMs
    for (const [link, since] of this.#shortLived) {
      if (since > tooLate) break // so are all that follow
      this.#shortLived.delete(link)
      link.relyOnTcp()
    }
  }

  readonly #unknownPeer: LinkHandler = {
    onFrame: (frame, link) => this.#onFirstFrame(frame, link),
    onClose: (link, error) => {
      if (error) this.#warn(link.peer, error.code, error.message, { code: error.code })
    },
  }

  /** `peer` is "host:port". */
  #warn(peer: string, kind: string, reason: string, details: object = {}): void {
    const host = peer.slice(0, peer.lastIndexOf(':'))
    this.#warnings.warn(kind, host, { peer, ...details }, `a connection to the LAN port was refused: ${reason}`)
  }

  #onFirstFrame(frame: Frame, link: Link): void {
    const hello = this.#readHello(frame, link)
    if (hello === null) return
    if (hello?.instance === undefined) {
      this.#onLegacyPeer(link, frame, hello)
      return
    }
    const asksForSecret = this.#options.secretKey !== ''
    if (asksForSecret !== (hello.proved !== undefined)) {
      link.refuse(wrongSecret(asksForSecret ? 'no secret key was given' : 'this gateway has no secret key'))
    } else if (asksForSecret) {
      this.#challenge(link, frame, hello)
    } else {
      this.#welcome(link, hello)
    }
  }

  /** Null if it is of another version, which it has been told. */
  #readHello(frame: Frame, link: Link): ReceivedHello | null | undefined {
    try {
      return decodeHello(frame)
    } catch (error) {
      if (!(error instanceof GatewayWorkerError) || error.code !== 'WRONG_VERSION') throw error
      link.refuse(error)
      return null
    }
  }

  #challenge(link: Link, { body, command }: Frame, hello: ReceivedHello): void {
    const { secretKey } = this.#options
    const challenge = msgpack.encode({ nonce: createNonce() })
    // Of a stranger only this is kept: not what it has said.
    const said = [String(command), digest(body), challenge]
    const { to } = hello.proved!
    link.handler = {
      ...this.#unknownPeer,
      onFrame: (frame) => {
        if (isLegacyQuestion(frame)) return
        if (frame.command !== LinkCommand.PROOF || !isProof(frame.body, secretKey, 'link-dialer', said)) {
          link.refuse(wrongSecret('the secret key is wrong'))
          return
        }
        if (to !== this.#lanAddress) {
          link.refuse(new GatewayWorkerError('WRONG_GATEWAY', `${to} was dialled, and ${this.#lanAddress} answers`))
          return
        }
        this.#welcome(link, hello, said)
      },
    }
    link.send(LinkCommand.CHALLENGE, 0, 0, EMPTY, challenge)
  }

  /** Lets a native peer in; `said` is what the proof is about, where there is a secret. */
  #welcome(link: Link, hello: Hello, said?: (Buffer | Digest | string)[]): void {
    const { instance, maxFrameBytes = DEFAULT_MAX_FRAME_BYTES, onLink, secretKey } = this.#options
    this.#strangers.delete(link)
    link.maxFrameBytes = maxFrameBytes
    link.startKeepAlive()
    const proof = said === undefined ? {} : { proof: prove(secretKey, 'link-listener', [...said, instance]) }
    link.send(LinkCommand.HELLO, 0, 0, EMPTY, msgpack.encode({ version: NATIVE_VERSION, instance, ...proof }))
    const handler = onLink(link, hello)
    link.handler = {
      ...handler,
      // A question that came with the hello is for legacy gateways.
      onFrame: (first) => {
        link.handler = handler
        if (!isLegacyQuestion(first)) handler.onFrame(first, link)
      },
    }
  }

  /** PHP's: says hello without `native`, or, where no secret is asked for, none at all. It is told nothing when it is not let in. */
  #onLegacyPeer(link: Link, firstFrame: Frame, hello: Hello | undefined): void {
    const { allowLegacy = false, maxFrameBytes = DEFAULT_MAX_FRAME_BYTES, onLink, secretKey } = this.#options
    if (secretKey !== '' && allowLegacy !== true && !isLoopback(link.remoteAddress)) {
      const words = 'it speaks as PHP does, with the secret in clear; --allow-legacy all would let it in'
      link.destroy(new GatewayWorkerError('LEGACY_NOT_ALLOWED', words))
      return
    }
    if (!this.#isTrusted(hello)) {
      link.destroy(wrongSecret('the secret key is missing or wrong'))
      return
    }
    this.#strangers.delete(link)
    link.dialect = this.#legacyDialect!
    link.maxFrameBytes = maxFrameBytes
    if (hello?.role.kind === 'worker') link.relyOnTcp()
    else this.#shortLived.set(link, performance.now())
    const handler = onLink(link, hello ?? { instance: undefined, role: { kind: 'client' }, secretKey: '' })
    link.handler = { ...handler, onFrame: (frame) => this.#onLegacyFrame(frame, link, handler) }
    if (hello === undefined) handler.onFrame(firstFrame, link)
  }

  #onLegacyFrame(frame: Frame, link: Link, handler: LinkHandler): void {
    // A connection that PHP keeps for several commands says hello before each.
    const hello = decodeHello(frame)
    if (hello === undefined) handler.onFrame(frame, link)
    else if (!this.#isTrusted(hello)) link.destroy(wrongSecret('the secret key is missing or wrong'))
  }

  #isTrusted(hello: Hello | undefined): boolean {
    const { secretKey } = this.#options
    return secretKey === '' || isSameSecret(hello?.secretKey ?? '', secretKey)
  }
}

function sendAway(link: Link, why: string): void {
  link.destroy(new GatewayWorkerError('HELLO_TIMEOUT', `it did not show who it is: ${why}`))
}

function isLegacyQuestion({ command, id }: Frame): boolean {
  return command === Command.IS_ONLINE && id === 0
}

function wrongSecret(message: string): GatewayWorkerError {
  return new GatewayWorkerError('WRONG_SECRET', message)
}
