import type { Socket } from 'node:net'
import { EMPTY, type Log } from '@gatewayworker/protocol'
import type { ProtocolConnection } from './client-protocol.ts'
import { ClientTransport, type TransportHandler } from './client-transport.ts'
import type { OutgoingMessage } from './message.ts'
import { type MeasurePacket, PacketError, PacketReader } from './packet-reader.ts'
import { type StreamProtocol, toBuffer } from './stream-protocol.ts'

/**
 * A TCP connection, or TLS on top of one, that carries the packets of a protocol.
 *
 * Invariants: nothing is read while it is paused, but for what has come already, which waits; once it was closed nothing that comes is
 * a message; what a user's protocol throws ends this connection and no other.
 */
export class StreamTransport extends ClientTransport {
  readonly #connection: ProtocolConnection
  readonly #log: Log
  readonly #protocol: StreamProtocol
  readonly #reader: PacketReader
  #handler!: TransportHandler
  #isEnding = false
  #isPaused = false

  constructor(socket: Socket, protocol: StreamProtocol, connection: ProtocolConnection, log: Log) {
    super(socket)
    this.#connection = connection
    this.#log = log
    this.#protocol = protocol
    const measure: MeasurePacket = (buffer, seen) => protocol.input(buffer, connection, seen)
    this.#reader = new PacketReader(measure, connection.maxPacketBytes)
  }

  /** Reads, and tells the handler of everything. */
  start(handler: TransportHandler): void {
    this.#handler = handler
    this.socket.on('data', this.#onData)
    this.socket.on('end', () => handler.onEnd())
    this.socket.on('close', () => handler.onClose())
  }

  frame(message: OutgoingMessage): Buffer {
    try {
      return this.#protocol.frame(message, this.#connection)
    } catch (err) {
      const { remoteAddress, remotePort } = this.#connection
      this.#log.error({ err, remoteAddress, remotePort }, 'encode threw: a client does not get a message')
      return EMPTY
    }
  }

  pause(): void {
    this.#isPaused = true
    this.socket.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.socket.resume()
  }

  close(): void {
    this.#stopReading()
    this.endSocket()
  }

  destroy(): void {
    this.#stopReading()
    this.socket.destroy()
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isEnding) return
    this.#reader.push(chunk)
    for (let packet = this.#nextPacket(); packet !== undefined; packet = this.#nextPacket()) {
      this.#readPacket(packet)
      if (this.#isPaused && !this.#isEnding) {
        const rest = this.#reader.takeRest()
        if (rest.length > 0) this.socket.unshift(rest) // it comes again when the socket is read again
        return
      }
    }
  }

  #nextPacket(): Buffer | undefined {
    try {
      return this.#reader.next()
    } catch (error) {
      this.#fail(error, 'input')
      return undefined
    }
  }

  #readPacket(packet: Buffer): void {
    let decoded: string | Uint8Array | undefined
    try {
      decoded = this.#protocol.decode(packet, this.#connection)
    } catch (error) {
      this.#fail(error, 'decode')
      return
    }
    if (decoded === undefined) {
      this.#handler.onAlive()
      return
    }
    const body = toBuffer(decoded)
    if (body.length > this.#connection.maxPacketBytes) this.#fail(new PacketError('a message is too long'), 'decode')
    else this.#handler.onMessage(body, typeof decoded !== 'string' && this.#protocol.isText?.(body) !== true)
  }

  #fail(error: unknown, where: string): void {
    if (!(error instanceof PacketError)) {
      const { remoteAddress, remotePort } = this.#connection
      this.#log.warn({ err: error, remoteAddress, remotePort }, `${where} threw: a client is cut off`)
    }
    this.#handler.onProtocolError(error as Error)
    this.destroy()
  }

  #stopReading(): void {
    this.#isEnding = true
    this.#reader.takeRest()
  }
}
