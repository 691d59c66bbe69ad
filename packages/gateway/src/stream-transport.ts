import type { Socket } from 'node:net'
import { EMPTY, type Log } from '@gatewayworker/protocol'
import type { ProtocolConnection } from './client-protocol.ts'
import { ClientTransport, type TransportHandler } from './client-transport.ts'
import type { OutgoingMessage } from './message.ts'
import { ownBytes } from './own-bytes.ts'
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
  #isEnding = false

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
    this.handler = handler
    this.socket.on('data', this.#onData)
    this.socket.on('end', () => handler.onEnd())
    this.socket.on('close', () => handler.onClose())
  }

  override get heldBytes(): number {
    return this.#reader.length
  }

  frame(message: OutgoingMessage): Buffer {
    try {
      return this.#protocol.frame(message, this.#connection)
    } catch (err) {
      const { remoteAddress, remotePort } = this.#connection
      this.#log.error({ err, remoteAddress, remotePort }, 'encode failed: a client does not get a message')
      return EMPTY
    }
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
    if (this.#isEnding) {
      this.onBytesAfterClose(chunk.length)
      return
    }
    const heldBefore = this.#reader.length
    const { piecesLeft } = this
    let packets = 0
    let bytes = chunk.length
    this.#reader.push(chunk)
    for (let packet = this.#nextPacket(); packet !== undefined; packet = this.#nextPacket()) {
      if (packets === 0) this.release(heldBefore)
      packets += 1
      this.#readPacket(packet)
      if (this.#isEnding || (packets < piecesLeft && !this.isWaiting)) continue
      const rest = this.#reader.takeRest()
      bytes -= rest.length
      this.spend(packets, bytes)
      if (rest.length > 0) this.socket.unshift(ownBytes(rest)) // it comes again when the socket is read again
      break
    }
    if (!this.isWaiting) this.spend(packets, bytes)
    if (packets > 0) this.settle(heldBefore + bytes, 0, true)
    else this.settle(bytes, this.isShort(bytes) ? 1 : 0, heldBefore === 0)
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
    let body: Buffer
    try {
      decoded = this.#protocol.decode(packet, this.#connection)
      body = decoded === undefined ? EMPTY : toBuffer(decoded, 'decode')
    } catch (error) {
      this.#fail(error, 'decode')
      return
    }
    if (decoded === undefined) {
      this.handler.onAlive()
      return
    }
    this.deliveredBytes += body.length
    if (body.length > this.#connection.maxPacketBytes) this.#fail(new PacketError('a message is too long'), 'decode')
    else this.handler.onMessage(body, typeof decoded !== 'string' && this.#protocol.isText?.(body) !== true)
  }

  #fail(error: unknown, where: string): void {
    if (!(error instanceof PacketError)) {
      const { remoteAddress, remotePort } = this.#connection
      this.#log.warn({ err: error, remoteAddress, remotePort }, `${where} failed: a client is cut off`)
    }
    this.handler.onProtocolError(error as Error)
    this.destroy()
  }

  #stopReading(): void {
    this.#isEnding = true
    this.#reader.takeRest()
  }
}
