import { EMPTY } from '@gatewayworker/protocol'

/** The longest line either side takes, in bytes (wire.md section 1). */
export const MAX_LINE_BYTES = 10 * 1024 * 1024

/** The longest line of a peer that was let in, and of a register that has not proved itself. */
export const MAX_PEER_LINE_BYTES = 64 * 1024

/** The longest line of a peer that was not let in: an address and a secret or proof fit well. */
export const MAX_STRANGER_LINE_BYTES = 4 * 1024

const NEWLINE = 0x0a

/** What a line says; `event` tells what else is in it. */
export type RegisterMessage = { event: string } & Record<string, unknown>

/** One line on a register connection. */
export function encodeLine(message: RegisterMessage): string {
  return `${JSON.stringify(message)}\n`
}

/** The addresses of a list; PHP encodes one with gaps as a map. */
export function readAddresses({ addresses }: RegisterMessage): string[] {
  return Object.values(addresses ?? {}).filter((address): address is string => typeof address === 'string')
}

/**
 * Cuts a register connection's bytes into messages. Pure. Throws an Error with the reason at a line that cannot be one.
 *
 * Invariant: what is held between two chunks is at most twice the unfinished line, however many pieces it came in, and nothing else of a chunk.
 */
export class LineParser {
  /** The longest line that is taken, in bytes. */
  maxLineBytes: number
  /** The unfinished line is its beginning. */
  #buffer = EMPTY
  #held = 0

  constructor(maxLineBytes = MAX_LINE_BYTES) {
    this.maxLineBytes = maxLineBytes
  }

  /** Takes the next bytes and calls `onMessage` for each line that is complete; `line` is the message as it came, without its end. */
  push(chunk: Buffer, onMessage: (message: RegisterMessage, line: string) => void): void {
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      const line = this.#takeLine(chunk.subarray(from, end))
      from = end + 1
      onMessage(parseLine(line), line)
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from))
  }

  #takeLine(rest: Buffer): string {
    if (this.#held === 0) {
      this.#checkLength(rest.length)
      return rest.toString()
    }
    this.#hold(rest)
    const line = this.#buffer.toString('utf8', 0, this.#held)
    this.#buffer = EMPTY
    this.#held = 0
    return line
  }

  #hold(piece: Buffer): void {
    const held = this.#held + piece.length
    this.#checkLength(held)
    if (held > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(held, 2 * this.#buffer.length))
      this.#buffer.copy(larger, 0, 0, this.#held)
      this.#buffer = larger
    }
    piece.copy(this.#buffer, this.#held)
    this.#held = held
  }

  #checkLength(bytes: number): void {
    if (bytes > this.maxLineBytes) throw new Error(`a line is longer than ${this.maxLineBytes} bytes`)
  }
}

function parseLine(line: string): RegisterMessage {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new Error('a line is not JSON')
  }
  if (typeof value !== 'object' || value === null || typeof (value as RegisterMessage).event !== 'string') {
    throw new Error('a line is no object with an event')
  }
  return value as RegisterMessage
}
