import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import {
  Command,
  createInstanceId,
  Dialer,
  encodeClientId,
  type Frame,
  type GatewayLink,
  gatewayKey,
  type Role,
} from '@gatewayworker/protocol'
import { onTestFinished } from 'vitest'
import type { GatewayServer } from '../../src/index.ts'
import { Inbox } from './inbox.ts'

/** A frame that outlives its chunk. */
export interface KeptFrame {
  body: Buffer
  command: number
  connectionId: number
  ext: Buffer
  flag: number
  id: number
}

const EVENTS: ReadonlySet<number> = new Set([
  Command.ON_CLOSE,
  Command.ON_CONNECT,
  Command.ON_MESSAGE,
  Command.ON_WEBSOCKET_CONNECT,
])

/** The other side of a gateway's link, frame by frame: a worker or backend without any behaviour of its own. */
export class RawPeer {
  /** Resolves when the link has ended. */
  readonly closed: Promise<void>
  readonly frames = new Inbox<KeptFrame>()
  /** Random name of the gateway's process, as that told it. */
  gatewayInstance: string | undefined
  readonly link: GatewayLink
  readonly #dialer: Dialer
  readonly #key: string

  constructor(dialer: Dialer, link: GatewayLink, key: string, closed: Promise<void>) {
    this.closed = closed
    this.#dialer = dialer
    this.link = link
    this.#key = key
  }

  /** Asks and resolves with the decoded answer. */
  ask(command: number, ext: string | Buffer = '', connectionId = 0, body = '', flag = 1): Promise<unknown> {
    return this.link.ask(command, 5_000, connectionId, flag, ext, body)
  }

  /** The next frame with this command; others before it are thrown away. */
  next(command: number): Promise<KeptFrame> {
    return this.frames.find((frame) => frame.command === command)
  }

  /** The connection id of the next client that is handed to this worker. */
  async nextClient(): Promise<number> {
    return (await this.next(Command.ON_WEBSOCKET_CONNECT)).connectionId
  }

  /** The events of a client up to this number are handled. */
  acknowledge(connectionId: number, number: number): void {
    this.link.send(Command.ACKNOWLEDGE, 0, 0, '', acknowledgement([connectionId, number]))
  }

  /** Resolves when the gateway has told everything that it is going to tell. */
  async leave(): Promise<void> {
    await this.ask(Command.LEAVE)
  }

  clientId(connectionId: number): string {
    return encodeClientId(this.#key, connectionId)
  }

  /** The gateway has carried out everything that was sent before. */
  async settled(): Promise<void> {
    await this.ask(Command.IS_ONLINE)
  }

  /** Ends the link at once, as a killed process would. */
  kill(): void {
    this.#dialer.destroy()
  }
}

/** Links to a gateway; the link ends with the test. */
export function linkPeer(
  gateway: GatewayServer,
  role: Role = { kind: 'client' },
  { acknowledges = false, instance = createInstanceId(), secretKey = '' } = {},
): Promise<RawPeer> {
  const [host = '', port] = gateway.lanAddress.split(':')
  return new Promise((resolve, reject) => {
    const dialer = new Dialer({
      hello: { instance, role, secretKey },
      host,
      port: Number(port),
      onDown: reject,
      onUp: (link, gatewayInstance) => {
        let onClose = () => {}
        const closed = new Promise<void>((resolve) => {
          onClose = resolve
        })
        const peer = new RawPeer(dialer, link, gatewayKey(gateway.lanAddress), closed)
        resolve(Object.assign(peer, { gatewayInstance }))
        const handled = new Map<number, number>()
        const onFrame = (frame: Frame): void => {
          const { command, connectionId, id } = frame
          peer.frames.push(keep(frame))
          if (command === Command.CLIENT_CONTEXT) handled.set(connectionId, id)
          if (!acknowledges || !EVENTS.has(command)) return
          const number = (handled.get(connectionId) ?? 0) + 1
          handled.set(connectionId, number)
          peer.acknowledge(connectionId, number)
        }
        return { onFrame, onClose: () => onClose() }
      },
    })
    onTestFinished(() => dialer.destroy())
  })
}

/**
 * Links to a gateway as a worker: as a new process each time, or as the one that `instance` names. What it is told stays unacknowledged
 * unless `acknowledges`: then it has handled each event when that has come.
 */
export function linkWorker(
  gateway: GatewayServer,
  name = 'worker:0',
  { acknowledges = false, instance = createInstanceId() } = {},
): Promise<RawPeer> {
  return linkPeer(gateway, { kind: 'worker', workerKey: name }, { acknowledges, instance })
}

/** The body of an ACKNOWLEDGE: pairs of a client and the number of its last event that is handled. */
export function acknowledgement(...pairs: [connectionId: number, number: number][]): Buffer {
  const body = Buffer.alloc(pairs.length * 8)
  pairs.flat().forEach((value, at) => void body.writeUInt32BE(value, at * 4))
  return body
}

/** A TCP connection to a port of this host; it ends with the test. */
export async function connectSocket(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** The frame with its own bytes. */
export function keep(frame: Frame): KeptFrame {
  const { command, connectionId, flag, id } = frame
  return { body: Buffer.from(frame.body), command, connectionId, ext: Buffer.from(frame.ext), flag, id }
}
