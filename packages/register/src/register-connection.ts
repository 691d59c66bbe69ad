import type { Socket } from 'node:net'
import { dialSocket, silentLog } from '@gatewayworker/protocol'
import type { DiscoveryOptions } from './discovery.ts'
import type { RegisterMessage } from './lines.ts'
import { parseRegisterAddress } from './register-address.ts'
import { RegisterAttempt } from './register-attempt.ts'

export interface RegisterConnectionOptions extends Omit<DiscoveryOptions, 'registerAddresses'> {
  /** "host:port" of the register. */
  address: string
  /** What is said first, without the secret. */
  greeting: RegisterMessage
  /** The register had said something, and cannot be heard any more. */
  onAway(): void
  /** The register has said something that is not about the connection itself. */
  onMessage(message: RegisterMessage): void
}

const RETRY_MS = 1_000
/** Processes of a cluster start together: a register that is not there yet is given its time to start, and looked for more often. */
const START_RETRY_MS = 100
const START_RETRIES = 10

/**
 * A connection to one register that is made again whenever it ends, until closed.
 *
 * Invariants, where there is a secret: nobody is told it without `allowLegacy`; with it only a register that has closed as PHP's does, where none
 * of ours has been in the life of this process; nothing is taken from a native register before that has proved that it knows the secret.
 */
export class RegisterConnection {
  /** Whether it has said something since it was reached last, other than that it lets us in. */
  isConnected = false
  /** Whether nobody listened there when it was last tried. */
  isUnreachable = false
  /** Why the register is away; undefined while it is there. */
  problem: string | undefined
  readonly #options: RegisterConnectionOptions
  #isClosed = false
  #isReported = false
  /** Whether the last that answered there was PHP's, or closed without a word. */
  #saysSecret = false
  #startRetries = START_RETRIES
  #retry: NodeJS.Timeout | undefined
  #socket: Socket | undefined

  constructor(options: RegisterConnectionOptions) {
    this.#options = options
    this.#connect()
  }

  get address(): string {
    return this.#options.address
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#retry)
    this.#socket?.destroy()
  }

  #connect(): void {
    const { address, log = silentLog, persistent = true, tls } = this.#options
    const socket = dialSocket(parseRegisterAddress(address), tls, () => attempt.start())
    if (!persistent) socket.unref()
    this.#socket = socket
    const onMessage = (message: RegisterMessage): void => {
      this.isConnected = true
      this.#options.onMessage(message)
    }
    const attempt = new RegisterAttempt(socket, { ...this.#options, onMessage }, this.#saysSecret, () => {
      this.problem = undefined
      if (this.#isReported) log.info({ register: address }, 'the register is back')
      this.#isReported = false
    })
    socket.on('connect', () => {
      this.isUnreachable = false
      this.#startRetries = 0
    })
    socket.on('close', () => {
      if (this.isConnected) this.#options.onAway()
      this.isConnected = false
      if (!this.#isClosed) this.#onClose(attempt)
    })
  }

  #onClose(attempt: RegisterAttempt): void {
    const { address, log = silentLog, onRefused, secretKey = '' } = this.#options
    if (attempt.isNative) this.#saysSecret = false
    else if (attempt.wasRefusedAsByPhp && secretKey !== '') {
      this.#saysSecret = !this.#saysSecret && attempt.mayBeLegacy
      if (this.#saysSecret) {
        this.#connect()
        return
      }
    }
    const { error } = attempt
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') this.isUnreachable = true
    this.#options.onFailure?.(error)
    if (this.#isClosed) return // whoever has heard enough closes it
    if (attempt.refusal !== undefined) onRefused?.(attempt.refusal)
    this.problem = `${address}: ${error.message}`
    if (this.#startRetries > 0) {
      this.#startRetries -= 1
      this.#connectAfter(START_RETRY_MS)
      return
    }
    // Said once per absence, not once a second.
    if (!this.#isReported) log.warn({ register: address }, `the register is away: ${error.message}`)
    this.#isReported = true
    this.#connectAfter(RETRY_MS)
  }

  #connectAfter(ms: number): void {
    this.#retry = setTimeout(() => this.#connect(), ms)
    if (this.#options.persistent === false) this.#retry.unref()
  }
}
