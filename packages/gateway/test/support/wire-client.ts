import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { onTestFinished } from 'vitest'
import type { GatewayServer } from '../../src/index.ts'
import { Inbox } from './inbox.ts'
import type { Wire } from './wire.ts'

/** A client down to the bytes, of whichever protocol; what it is sent waits in `messages`. */
export class WireClient {
  /** Resolves when the gateway has ended its side, or broken off. */
  readonly ended: Promise<void>
  readonly messages = new Inbox<Buffer>()
  readonly socket: Socket
  readonly #wire: Wire
  #received: Buffer = Buffer.alloc(0)

  constructor(socket: Socket, wire: Wire) {
    this.socket = socket
    this.#wire = wire
    this.ended = new Promise((resolve) => {
      socket.once('end', resolve)
      socket.once('close', () => resolve())
    })
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      for (let next = wire.decode(this.#received); next !== undefined; next = wire.decode(this.#received)) {
        this.messages.push(next.message)
        this.#received = this.#received.subarray(next.length)
      }
      if (wire.isGoodbye?.(this.#received)) socket.end()
    })
  }

  /** Sends messages, all in one piece. */
  send(...messages: (string | Buffer)[]): void {
    this.socket.write(Buffer.concat(messages.map((message) => this.#wire.encode(Buffer.from(message)))))
  }

  /** Sends a message, each byte of it in a piece of its own. */
  async sendInBytes(message: string | Buffer): Promise<void> {
    for (const byte of this.#wire.encode(Buffer.from(message))) {
      await new Promise((resolve) => this.socket.write(Buffer.of(byte), resolve))
    }
  }

  /** The next `count` bytes that it is sent in messages. */
  async bytes(count: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for (let left = count; left > 0; left -= parts.at(-1)!.length) parts.push(await this.messages.next())
    return Buffer.concat(parts)
  }
}

/** A client whose handshake, if there is one, is done; it ends with the test. */
export async function connectWire(gateway: GatewayServer, wire: Wire, isTls = false): Promise<WireClient> {
  const where = { allowHalfOpen: true, host: '127.0.0.1', noDelay: true, port: gateway.address.port }
  const socket = isTls ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where)
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, isTls ? 'secureConnect' : 'connect')
  if (wire.greeting !== undefined) {
    socket.write(wire.greeting)
    await endOfHead(socket)
  }
  return new WireClient(socket, wire)
}

async function endOfHead(socket: Socket): Promise<void> {
  let head = ''
  while (!head.endsWith('\r\n\r\n')) {
    await once(socket, 'readable')
    head += (socket.read() as Buffer | null)?.toString('latin1') ?? ''
  }
}
