import type { Socket } from 'node:net'
import { EMPTY } from '@gatewayworker/protocol'
import type { Peer } from './forwarded.ts'
import { type ProxyHeader, parseProxyHeader } from './proxy-header.ts'

/**
 * Takes the PROXY header off the front of a connection, and calls `onRead` when that has come: the socket is then as if nobody had
 * touched it, so that TLS can begin on it, too. Calls `onError` instead if it is none. Of a connection that ends, or says too little, nothing is
 * heard: that is for whoever keeps time.
 */
export function readProxyHeader(
  socket: Socket,
  onRead: (peer: Peer | undefined) => void,
  onError: (error: unknown) => void,
): void {
  let bytes: Buffer = EMPTY
  const onReadable = (): void => {
    bytes = Buffer.concat([bytes, (socket.read() as Buffer | null) ?? EMPTY])
    let header: ProxyHeader | undefined
    try {
      header = parseProxyHeader(bytes)
    } catch (error) {
      socket.off('readable', onReadable)
      onError(error)
      return
    }
    if (header === undefined) return
    const { length, peer } = header
    socket.off('readable', onReadable)
    if (bytes.length > length) socket.unshift(bytes.subarray(length))
    // That nobody waits for `readable` any more is known to the socket a tick later.
    process.nextTick(() => onRead(peer))
  }
  socket.on('readable', onReadable)
}
