import type { Socket } from 'node:net'
import { EMPTY } from '@gatewayworker/protocol'
import type { Peer } from './forwarded.ts'
import { parseProxyHeader } from './proxy-header.ts'

/**
 * Takes the PROXY header off the front of a connection, and calls `onRead` when that has come: what follows is read by whoever listens to
 * the socket when that returns. Calls `onError` instead if it is none. Of a connection that ends, or says too little, nothing is heard:
 * that is for whoever keeps time.
 */
export function readProxyHeader(
  socket: Socket,
  onRead: (peer: Peer | undefined) => void,
  onError: (error: unknown) => void,
): void {
  let bytes: Buffer = EMPTY
  const onData = (chunk: Buffer): void => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    const header = parse()
    if (header === undefined) return
    stop()
    if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length))
    socket.resume() // takes effect when this turn is through
    onRead(header.peer)
  }
  const parse = () => {
    try {
      return parseProxyHeader(bytes)
    } catch (error) {
      stop()
      onError(error)
      return undefined
    }
  }
  const stop = (): void => {
    socket.off('data', onData)
    socket.pause()
  }
  socket.on('data', onData)
}
