/**
 * How messages look on a TCP connection, as with Workerman's protocols: what a user's module exports to bring a protocol of one's own.
 *
 * ```ts
 * export const input: ClientProtocol['input'] = (buffer, _connection, seen) => buffer.indexOf('\0', seen) + 1
 * export const decode: ClientProtocol['decode'] = (packet) => packet.toString('utf8', 0, packet.length - 1)
 * export const encode: ClientProtocol['encode'] = (message) => Buffer.concat([message, Buffer.of(0)])
 * ```
 */
export interface ClientProtocol {
  /**
   * How long the packet is that `buffer` begins with, in bytes, with everything that belongs to it: said as soon as it can be told, though the
   * rest of it may still be on its way. 0 if more has to come first. -1, or a throw, ends the connection: the client broke the protocol.
   *
   * @param seen how many bytes of `buffer` the call before has seen, which returned 0: what was searched need not be searched again.
   */
  input(buffer: Buffer, connection: ProtocolConnection, seen: number): number

  /**
   * The message in a whole packet: text as a string, binary as bytes, which may be a part of `packet`; undefined if there is none in it, as in a
   * heartbeat. A throw ends the connection.
   */
  decode(packet: Buffer, connection: ProtocolConnection): string | Uint8Array | undefined

  /** The bytes for a message, which must stay as it is; none for a message that this client is not to be sent. */
  encode(message: Buffer, connection: ProtocolConnection): string | Uint8Array

  /** `encode` does not look at the connection: it is called once for a message to many, with any of them. */
  encodesForAll?: boolean
}

/** A connection as a protocol sees it. */
export interface ProtocolConnection {
  /** What the protocol wants to remember of the connection. */
  readonly context: Record<string, unknown>
  /** The longest packet that is taken, in bytes: the gateway's `maxPayloadBytes`. */
  readonly maxPacketBytes: number
  readonly remoteAddress: string
  readonly remotePort: number
}
