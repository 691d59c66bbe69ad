import { buildFrame } from '../../../protocol/test/build-frame.ts'
import { connectRaw, type RawSocket } from '../../../protocol/test/raw-socket.ts'
import type { GatewayServer } from '../../src/index.ts'

/** An event as PHP reads it from a frame's bytes: unpack("NCNnNnNCnN"), ext, body. Bytes are told one character each. */
export interface PhpEvent {
  body: string
  clientIp: number
  clientPort: number
  cmd: number
  connectionId: number
  flag: number
  gatewayPort: number
  localIp: number
  localPort: number
  session: string
}

function readEvent(frame: Buffer): PhpEvent {
  const bodyAt = 28 + frame.readUInt32BE(24)
  return {
    body: frame.toString('latin1', bodyAt),
    clientIp: frame.readUInt32BE(11),
    clientPort: frame.readUInt16BE(15),
    cmd: frame.readUInt8(4),
    connectionId: frame.readUInt32BE(17),
    flag: frame.readUInt8(21),
    gatewayPort: frame.readUInt16BE(22),
    localIp: frame.readUInt32BE(5),
    localPort: frame.readUInt16BE(9),
    session: frame.toString('latin1', 28, bodyAt),
  }
}

/** A worker or backend that speaks to a gateway as PHP's do. */
export class PhpPeer {
  readonly raw: RawSocket

  constructor(raw: RawSocket) {
    this.raw = raw
  }

  say(cmd: number, connectionId = 0, ext: string | Buffer = '', body: string | Buffer = '', flag = 1): void {
    this.raw.say({ cmd, connection_id: connectionId, flag, ext, body })
  }

  /** Asks; resolves with the serialized answer, one character a byte. No event may come before it. */
  ask(cmd: number, ext: string | Buffer = '', connectionId = 0): Promise<string> {
    this.say(cmd, connectionId, ext)
    return this.raw.answer()
  }

  /** The gateway has carried out everything that was said before. */
  async settled(): Promise<void> {
    await this.ask(11)
  }

  async event(): Promise<PhpEvent> {
    return readEvent(await this.raw.frame())
  }

  /** The connection id of the next client that is handed to this worker. */
  async nextClient(): Promise<number> {
    const events = [await this.event(), await this.event()]
    if (events[0]?.cmd !== 1 || events[1]?.cmd !== 205) throw new Error('that was no new client')
    return events[0].connectionId
  }
}

async function connectPeer(gateway: GatewayServer, cmd: number, hello: object): Promise<PhpPeer> {
  const raw = await connectRaw(Number(gateway.lanAddress.split(':')[1]))
  raw.write(buildFrame({ cmd, flag: 1, body: JSON.stringify(hello) }))
  const peer = new PhpPeer(raw)
  await peer.settled()
  return peer
}

/** Links to a gateway as PHP's BusinessWorker. Nothing may happen to a client until it is linked. */
export function linkPhpWorker(gateway: GatewayServer, name = 'Php:0', secretKey = ''): Promise<PhpPeer> {
  return connectPeer(gateway, 200, { worker_key: name, secret_key: secretKey })
}

/** Links to a gateway as PHP's GatewayClient. */
export function linkPhpBackend(gateway: GatewayServer, secretKey = ''): Promise<PhpPeer> {
  return connectPeer(gateway, 202, { secret_key: secretKey })
}
