import type { Socket } from 'node:net'
import {
  createNonce,
  GatewayWorkerError,
  isErrorCode,
  isProof,
  legacyNotAllowed,
  mayTellSecret,
  NATIVE_VERSION,
  prove,
  rememberNative,
} from '@gatewayworker/protocol'
import { encodeLine, LineParser, MAX_LINE_BYTES, MAX_PEER_LINE_BYTES, type RegisterMessage } from './lines.ts'
import type { RegisterConnectionOptions } from './register-connection.ts'

/** A register on a host that is cut off does not even refuse. */
const CONNECT_TIMEOUT_MS = 5_000
const DEFAULT_LINK_TIMEOUT_MS = 45_000
/** PHP's registers do not say that they have let us in; one that refuses us closes at once. */
const LEGACY_REFUSAL_MS = 500
/** PHP's peers ping so often, too. */
const LONGEST_PING_MS = 25_000
/** So many without an answer, and a register of ours is gone. */
const UNANSWERED_PINGS = 3
/** How long a register that is asked for a challenge may take to let us in. */
const WELCOME_TIMEOUT_MS = 5_000

/** One try to reach a register, and what came of it. */
export class RegisterAttempt {
  /** Whether the register is ours. */
  isNative = false
  readonly #onAccepted: () => void
  readonly #options: RegisterConnectionOptions
  readonly #parser: LineParser
  readonly #saysSecret: boolean
  readonly #socket: Socket
  #acceptance: NodeJS.Timeout | undefined
  /** The IP address of the register; undefined until the connection stands. */
  #ip: string | undefined
  #challenge: string | undefined
  #error: Error | undefined
  #greeting = ''
  #isAccepted = false
  #ping: NodeJS.Timeout | undefined
  /** Pings since it was heard last. */
  #unanswered = 0

  constructor(socket: Socket, options: RegisterConnectionOptions, saysSecret: boolean, onAccepted: () => void) {
    this.#socket = socket
    this.#options = options
    this.#saysSecret = saysSecret
    this.#onAccepted = onAccepted
    this.#parser = new LineParser(this.#expectsLegacy ? MAX_LINE_BYTES : MAX_PEER_LINE_BYTES)
    this.#acceptance = setTimeout(() => this.#fail('it did not answer'), CONNECT_TIMEOUT_MS).unref()
    socket.on('data', this.#onData)
    socket.on('error', (error) => {
      this.#error ??= error
    })
    socket.on('close', () => {
      clearInterval(this.#ping)
      clearTimeout(this.#acceptance)
    })
  }

  /** Why the connection has ended. */
  get error(): Error {
    if (this.#error !== undefined) return this.#error
    if (!this.wasRefusedAsByPhp) return new Error('it ended the connection')
    if (this.#options.tls !== undefined) return helloRefused('does it take certificates of the same CA?')
    if (this.#secretKey !== '' && !this.#saysSecret) return this.#legacyNotAllowed
    return helloRefused('is the secret key the same? Or does it speak TLS?')
  }

  /** Why the register does not want this process, or this process not the register, if that is sure. */
  get refusal(): GatewayWorkerError | undefined {
    return this.#error instanceof GatewayWorkerError ? this.#error : undefined
  }

  /** Whether the register may be told the secret. */
  get mayBeLegacy(): boolean {
    return mayTellSecret(this.#options, this.#options.address, this.#ip)
  }

  /** Whether the register has heard the greeting and closed without a word: PHP's does so where the secret is not the right one. */
  get wasRefusedAsByPhp(): boolean {
    const wasHeard = this.#ip !== undefined && this.#error === undefined
    return wasHeard && !this.#isAccepted && this.#challenge === undefined
  }

  get #legacyNotAllowed(): GatewayWorkerError {
    return legacyNotAllowed(this.#options.address, this.#ip, 'it')
  }

  /** Whether the register may be PHP's. */
  get #expectsLegacy(): boolean {
    return this.#options.tls === undefined && (this.#saysSecret || this.#secretKey === '')
  }

  get #secretKey(): string {
    return this.#options.secretKey ?? ''
  }

  /** Says who this process is: the connection stands. */
  start(): void {
    this.#socket.setKeepAlive(true).setNoDelay(true)
    this.#ip = this.#socket.remoteAddress ?? ''
    if (this.#saysSecret && !this.mayBeLegacy) {
      this.#socket.destroy(this.#legacyNotAllowed) // its name stands for another host now
      return
    }
    const nonce = this.#secretKey === '' ? undefined : createNonce()
    this.#greeting = this.#say({
      ...this.#options.greeting,
      secret_key: this.#expectsLegacy || nonce === undefined ? this.#secretKey : false,
      native: { version: NATIVE_VERSION, nonce },
    })
    const { linkTimeoutMs = DEFAULT_LINK_TIMEOUT_MS } = this.#options
    this.#ping = setInterval(this.#onPing, Math.min(LONGEST_PING_MS, linkTimeoutMs / UNANSWERED_PINGS)).unref()
    clearTimeout(this.#acceptance)
    const expectsLegacy = this.#expectsLegacy
    this.#acceptance = setTimeout(
      () => (expectsLegacy ? this.#accept() : this.#fail(`it did not answer within ${WELCOME_TIMEOUT_MS} ms`)),
      expectsLegacy ? LEGACY_REFUSAL_MS : WELCOME_TIMEOUT_MS,
    ).unref()
  }

  readonly #onPing = (): void => {
    // PHP's never answer: TCP has to watch over them.
    if (this.isNative && this.#unanswered >= UNANSWERED_PINGS) {
      // If it was this process that stood still, what the register said lies in the kernel: it is read before the verdict.
      setImmediate(() => {
        if (this.#unanswered >= UNANSWERED_PINGS) this.#fail('nothing was heard from it')
      })
    }
    this.#unanswered += 1
    this.#say({ event: 'ping', answer: true })
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#unanswered = 0
    try {
      this.#parser.push(chunk, this.#onMessage)
    } catch (error) {
      this.#socket.destroy(error as Error)
    }
  }

  readonly #onMessage = (message: RegisterMessage, line: string): void => {
    if (this.#socket.destroyed) return
    switch (message.event) {
      case 'challenge':
        this.#onChallenge(line)
        break
      case 'welcome':
        this.#onWelcome(message)
        break
      case 'refused':
        this.#onRefused(message)
        break
      case 'pong':
        this.isNative = true
        break
      default:
        if (!this.#isAccepted && !this.#expectsLegacy) throw notProved()
        this.#accept()
        this.#options.onMessage(message)
    }
  }

  #onChallenge(line: string): void {
    if (this.#secretKey === '' || this.#challenge !== undefined) throw new Error('it asks for a proof out of turn')
    this.isNative = true
    this.#challenge = line
    const proof = prove(this.#secretKey, 'register-client', [this.#greeting, line])
    this.#say({ event: 'proof', proof: proof.toString('hex') })
  }

  #onWelcome({ proof }: RegisterMessage): void {
    if (this.#secretKey !== '') {
      const parts = [this.#greeting, this.#challenge ?? '']
      const given = Buffer.from(String(proof), 'hex')
      if (this.#challenge === undefined || !isProof(given, this.#secretKey, 'register-server', parts)) throw notProved()
      rememberNative(this.#options.address)
    }
    this.isNative = true
    this.#accept()
  }

  #onRefused({ code, message }: RegisterMessage): void {
    this.isNative = true
    throw new GatewayWorkerError(isErrorCode(code) ? code : 'WRONG_SECRET', String(message))
  }

  #accept(): void {
    if (this.#isAccepted) return
    this.#isAccepted = true
    clearTimeout(this.#acceptance)
    this.#parser.maxLineBytes = MAX_LINE_BYTES
    this.#onAccepted()
  }

  #fail(reason: string): void {
    this.#socket.destroy(new Error(reason))
  }

  /** Says it, and returns the line without its end. */
  #say(message: RegisterMessage): string {
    const line = encodeLine(message)
    this.#socket.write(line)
    return line.slice(0, -1)
  }
}

function helloRefused(question: string): GatewayWorkerError {
  return new GatewayWorkerError('HELLO_REFUSED', `it closed the connection at once; ${question}`)
}

function notProved(): GatewayWorkerError {
  return new GatewayWorkerError('WRONG_SECRET', 'it did not prove that it knows the secret key')
}
