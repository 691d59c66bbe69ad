import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { buildFrame, type WireFields } from './build-frame.ts'

const LENGTH_BYTES = 4

/** A connection that a test speaks on byte by byte, as a peer written in PHP; it ends with the test. */
export class RawSocket {
  readonly closed: Promise<void>
  readonly socket: Socket
  #received = Buffer.alloc(0)
  #isEnded = false
  #onChange = () => {}

  constructor(socket: Socket) {
    this.socket = socket.setNoDelay(true)
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => {}) // a reset is an end too
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#onChange()
    })
    for (const end of ['end', 'close']) {
      socket.on(end, () => {
        this.#isEnded = true
        this.#onChange()
      })
    }
    onTestFinished(() => void socket.destroy())
  }

  /** Bytes that have come and were not taken yet. */
  get waiting(): Buffer {
    return this.#received
  }

  write(...pieces: (Buffer | string)[]): void {
    this.socket.write(Buffer.concat(pieces.map((piece) => Buffer.from(piece))))
  }

  say(fields: WireFields): void {
    this.write(buildFrame(fields))
  }

  /** Writes the two parts one after the other, so that the other side most likely reads twice. */
  async writeCut(bytes: Buffer, at: number): Promise<void> {
    await new Promise((resolve) => this.socket.write(bytes.subarray(0, at), resolve))
    await new Promise((resolve) => setImmediate(resolve))
    this.write(bytes.subarray(at))
  }

  /** The next frame, whole: its length counts itself. */
  async frame(): Promise<Buffer> {
    await this.#until(LENGTH_BYTES)
    return this.take(this.#received.readUInt32BE(0))
  }

  /** The next answer of a legacy gateway, without its length. */
  async answer(): Promise<string> {
    const length = (await this.take(LENGTH_BYTES)).readUInt32BE(0)
    return (await this.take(length)).toString('latin1')
  }

  /** The next bytes, as many. */
  async take(count: number): Promise<Buffer> {
    await this.#until(count)
    const taken = this.#received.subarray(0, count)
    this.#received = this.#received.subarray(count)
    return taken
  }

  async #until(count: number): Promise<void> {
    while (this.#received.length < count) {
      if (this.#isEnded) throw new Error(`the other side ended after ${this.#received.length} of ${count} bytes`)
      await new Promise<void>((resolve) => {
        this.#onChange = resolve
      })
    }
  }
}

/** A connection to a port of this host. */
export async function connectRaw(port: number, host = '127.0.0.1'): Promise<RawSocket> {
  const socket = connect(port, host)
  const raw = new RawSocket(socket)
  await once(socket, 'connect')
  return raw
}
