/** The longest line either side takes, in bytes (wire.md section 1). */
export const MAX_LINE_BYTES = 10 * 1024 * 1024

/** The longest line of a peer: nobody has reason to say more than an address and a proof. */
export const MAX_PEER_LINE_BYTES = 64 * 1024

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

/** Cuts a register connection's bytes into messages. Pure. Throws an Error with the reason at a line that cannot be one. */
export class LineParser {
  /** The longest line that is taken, in bytes. */
  maxLineBytes: number
  #pieces: Buffer[] = []
  #held = 0

  constructor(maxLineBytes = MAX_LINE_BYTES) {
    this.maxLineBytes = maxLineBytes
  }

  /** Takes the next bytes and calls `onMessage` for each line that is complete; `line` is the message as it came, without its end. */
  push(chunk: Buffer, onMessage: (message: RegisterMessage, line: string) => void): void {
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      this.#hold(chunk.subarray(from, end))
      const line = Buffer.concat(this.#pieces, this.#held).toString()
      this.#pieces = []
      this.#held = 0
      from = end + 1
      onMessage(parseLine(line), line)
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from))
  }

  #hold(piece: Buffer): void {
    this.#held += piece.length
    if (this.#held > this.maxLineBytes) throw new Error(`a line is longer than ${this.maxLineBytes} bytes`)
    this.#pieces.push(piece)
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
