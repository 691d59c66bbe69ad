import type { Socket } from 'node:net'
import type { Log } from '@gatewayworker/protocol'
import type { ClientAcceptor, Reception } from './client-port.ts'
import type { OnClient } from './client-transport.ts'
import type { StreamProtocol } from './stream-protocol.ts'
import { StreamTransport } from './stream-transport.ts'

export interface StreamAcceptorOptions {
  log: Log
  maxPayloadBytes: number
  onClient: OnClient
  protocol: StreamProtocol
  reception: Reception
}

/** Makes a client of every connection at once, as there is no handshake: it speaks a protocol from its first byte on. */
export class StreamAcceptor implements ClientAcceptor {
  readonly #options: StreamAcceptorOptions

  constructor(options: StreamAcceptorOptions) {
    this.#options = options
  }

  accept(socket: Socket): void {
    const { log, maxPayloadBytes, onClient, protocol, reception } = this.#options
    const origin = reception.admit(socket)
    const { remoteAddress, remotePort } = origin
    const connection = { context: {}, maxPacketBytes: maxPayloadBytes, remoteAddress, remotePort }
    const transport = new StreamTransport(socket, protocol, connection, log)
    transport.start(onClient(transport, origin))
  }
}
