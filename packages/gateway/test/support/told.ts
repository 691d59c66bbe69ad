import { Command, Flag, msgpack } from '@gatewayworker/protocol'
import type { KeptFrame, RawPeer } from './raw-peer.ts'
import type { RecordedLog } from './recorded-log.ts'

/**
 * The next that a worker is told, in words: 'context 2' (so many events are handled), 'connect', 'handshake', 'message hello',
 * 'close client'; with 'again' before what another worker was told already.
 */
export async function told(worker: RawPeer, count: number): Promise<string[]> {
  return (await worker.frames.take(count)).map(inWords)
}

/** A worker's process dies when all that it said has come, and the gateway has noticed. */
export async function kill(worker: RawPeer, log: RecordedLog): Promise<void> {
  await worker.settled()
  worker.kill()
  await log.next('worker gone')
}

function inWords(frame: KeptFrame): string {
  const again = (frame.flag & Flag.REDELIVERED) === 0 ? '' : 'again '
  switch (frame.command) {
    case Command.CLIENT_CONTEXT:
      return `context ${frame.id}`
    case Command.ON_CONNECT:
      return `${again}connect`
    case Command.ON_WEBSOCKET_CONNECT:
      return `${again}handshake`
    case Command.ON_MESSAGE:
      return `${again}message ${frame.body}`
    case Command.ON_CLOSE:
      return `${again}close ${(msgpack.decode(frame.body) as { reason: string }).reason}`
    default:
      return `command ${frame.command}`
  }
}
