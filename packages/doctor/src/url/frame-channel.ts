import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'

/** RFC 6455 section 5.2. */
const Opcode = { CLOSE: 8, PING: 9, PONG: 10 } as const

const FINAL = 0x80
const MASKED = 0x80

/**
 * A client's end of a WebSocket that says nothing but pings, and skips what is said to it. Frames of RFC 6455 as far as that needs: none of
 * the client's is longer than 125 bytes.
 */
export class FrameChannel {
  /** With which code the other end has closed it, if it has. */
  closeCode: number | undefined
  /** `performance.now()` when something came last, but for a goodbye. */
  lastHeardAt = performance.now()
  readonly #ended: Promise<'ended'>
  readonly #socket: Socket
  #bytes: Buffer
  #onPong = (): void => {}
  #toSkip = 0

  /** `head` is what has come with the handshake. */
  constructor(socket: Socket, head: Buffer) {
    this.#socket = socket
    this.#bytes = head
    this.#ended = new Promise((resolve) => socket.once('close', () => resolve('ended')))
    socket.on('error', () => {})
    socket.on('end', () => socket.destroy())
    socket.on('data', this.#onData)
    this.#read()
  }

  /** Whether the other end answers a ping in time; `ended` if the connection does before that. */
  async ping(timeoutMs: number): Promise<'answered' | 'ended' | 'unanswered'> {
    const answered = new Promise<'answered'>((resolve) => {
      this.#onPong = () => resolve('answered')
    })
    this.#send(Opcode.PING, Buffer.from('doctor'))
    return Promise.race([answered, this.#ended, after(timeoutMs, 'unanswered' as const, { ref: false })])
  }

  /** Whether the connection ends, by whomever, within this time. */
  async endsWithin(timeoutMs: number): Promise<boolean> {
    return (await Promise.race([this.#ended, after(timeoutMs)])) === 'ended'
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    this.#read()
  }

  #read(): void {
    for (;;) {
      const skipped = Math.min(this.#toSkip, this.#bytes.length)
      this.#toSkip -= skipped
      this.#bytes = this.#bytes.subarray(skipped)
      const header = readHeader(this.#bytes)
      if (this.#toSkip > 0 || header === undefined) return
      const { headerLength, opcode, payloadLength } = header
      if (opcode !== Opcode.CLOSE) this.lastHeardAt = performance.now()
      const isControl = opcode >= Opcode.CLOSE
      if (isControl && this.#bytes.length < headerLength + payloadLength) return
      if (isControl) this.#onControl(opcode, this.#bytes.subarray(headerLength, headerLength + payloadLength))
      this.#toSkip = headerLength + payloadLength
    }
  }

  #onControl(opcode: number, payload: Buffer): void {
    if (opcode === Opcode.PONG) this.#onPong()
    if (opcode === Opcode.PING) this.#send(Opcode.PONG, payload)
    if (opcode !== Opcode.CLOSE) return
    this.closeCode = payload.length < 2 ? 1005 : payload.readUInt16BE()
    this.#socket.end()
    this.#socket.destroySoon()
  }

  #send(opcode: number, payload: Buffer): void {
    const mask = randomBytes(4)
    const masked = payload.map((byte, at) => byte ^ mask[at % 4]!)
    this.#socket.write(Buffer.concat([Buffer.of(FINAL | opcode, MASKED | payload.length), mask, masked]))
  }
}

/** Undefined as long as it is not whole. A server's frames are not masked. */
function readHeader(bytes: Buffer): { headerLength: number; opcode: number; payloadLength: number } | undefined {
  const [first, second] = bytes
  if (first === undefined || second === undefined) return undefined
  const opcode = first & 0x0f
  const short = second & 0x7f
  if (short < 126) return { headerLength: 2, opcode, payloadLength: short }
  const headerLength = short === 126 ? 4 : 10
  if (bytes.length < headerLength) return undefined
  const payloadLength = short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  return { headerLength, opcode, payloadLength }
}
