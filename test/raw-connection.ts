import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { within } from './deadline.ts'

/** A TCP connection to 127.0.0.1 on which a test writes what it likes. */
export class RawConnection {
  readonly socket: Socket
  /** Resolves with everything that came when the other side has ended the connection. */
  readonly #ended: Promise<Buffer>
  #received = Buffer.alloc(0)

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true })
    // A reset is an end as good as any.
    this.socket.on('error', () => {})
    this.socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk])
    })
    this.#ended = new Promise((resolve) => this.socket.once('close', () => resolve(this.#received)))
  }

  static async open(port: number | string): Promise<RawConnection> {
    const connection = new RawConnection(Number(port))
    await within(once(connection.socket, 'connect'), `a connection to port ${port}`)
    return connection
  }

  get received(): Buffer {
    return this.#received
  }

  write(bytes: string | Uint8Array): void {
    this.socket.write(bytes)
  }

  /** Waits until something has come that the test looks for, and returns all that came. */
  async until(isEnough: (received: Buffer) => boolean): Promise<Buffer> {
    const enough = async () => {
      while (!isEnough(this.#received)) await once(this.socket, 'data')
    }
    const ended = this.#ended.then(() => Promise.reject(new Error(`ended after: ${this.#received}`)))
    await within(Promise.race([enough(), ended]), 'enough bytes on a raw connection')
    return this.#received
  }

  /** Waits until the other side has ended the connection, and returns all that came. */
  async isEnded(): Promise<Buffer> {
    return within(this.#ended, 'the end of a raw connection')
  }
}
