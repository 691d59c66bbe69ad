import { Command, createInstanceId, Flag, type Link, LinkListener, msgpack } from '@gatewayworker/protocol'
import { onTestFinished } from 'vitest'
import { Inbox } from '../../gateway/test/support/inbox.ts'
import { type KeptFrame, keep } from '../../gateway/test/support/raw-peer.ts'
import { RecordedLog } from '../../gateway/test/support/recorded-log.ts'
import { startRegister } from '../../gateway-client/test/start-cluster.ts'
import { RegisterAnnouncer } from '../../register/src/index.ts'
import { BusinessWorker, type BusinessWorkerOptions, type Events } from '../src/index.ts'

/** A promise that a test settles when it likes. */
export interface Deferred<T = void> {
  promise: Promise<T>
  reject(reason: unknown): void
  resolve(value: T): void
}

export function defer<T = void>(): Deferred<T> {
  let reject: Deferred<T>['reject'] = () => {}
  let resolve: Deferred<T>['resolve'] = () => {}
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, reject, resolve }
}

/** Starts a worker; it stops with the test. */
export async function startWorker(
  registerAddress: string,
  events: Events,
  options: Partial<BusinessWorkerOptions> = {},
): Promise<{ log: RecordedLog; worker: BusinessWorker }> {
  const log = new RecordedLog()
  const worker = new BusinessWorker({ events, log, registerAddresses: [registerAddress], ...options })
  await worker.start()
  onTestFinished(() => worker.stop())
  return { log, worker }
}

/** The gateway's end of a worker's link, frame by frame: a gateway without any behaviour of its own. */
export class RawGateway {
  readonly frames = new Inbox<KeptFrame>()
  readonly link: Link

  constructor(link: Link) {
    this.link = link
  }

  /** A client is there, with this session; its handshake follows. */
  connect(connectionId: number, session: object = {}, handshake: object = {}): void {
    const context = msgpack.encode({ gatewayPort: 7272, remoteAddress: '10.0.0.1', remotePort: 50_000 })
    this.link.send(Command.CLIENT_CONTEXT, connectionId, 0, msgpack.encode(session), context)
    this.link.send(Command.ON_CONNECT, connectionId, Flag.SCALAR)
    this.link.send(Command.ON_WEBSOCKET_CONNECT, connectionId, 0, '', msgpack.encode(handshake))
  }

  message(connectionId: number, text: string | Buffer): void {
    const flag = typeof text === 'string' ? Flag.SCALAR : Flag.SCALAR | Flag.BINARY
    this.link.send(Command.ON_MESSAGE, connectionId, flag, '', text)
  }

  close(connectionId: number): void {
    this.link.send(Command.ON_CLOSE, connectionId, Flag.SCALAR)
  }
}

/** Starts a worker that is linked to a raw gateway. */
export async function linkToRawGateway(
  events: Events,
  options: Partial<BusinessWorkerOptions> = {},
): Promise<{ gateway: RawGateway; log: RecordedLog; worker: BusinessWorker }> {
  const register = await startRegister()
  const linked = defer<RawGateway>()
  const listener = new LinkListener({
    host: '127.0.0.1',
    instance: createInstanceId(),
    onLink: (link) => {
      const gateway = new RawGateway(link)
      linked.resolve(gateway)
      return {
        onFrame: (frame) => gateway.frames.push(keep(frame)),
      }
    },
    port: 0,
    secretKey: '',
  })
  const { port } = await listener.listen()
  onTestFinished(() => listener.close())
  const announcer = new RegisterAnnouncer(`127.0.0.1:${port}`, { registerAddresses: [register.address] })
  onTestFinished(() => announcer.close())
  const started = await startWorker(register.address, events, options)
  return { ...started, gateway: await linked.promise }
}
