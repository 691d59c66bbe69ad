import {
  type CloseReason,
  Command,
  createInstanceId,
  Flag,
  type Frame,
  type Link,
  LinkListener,
  msgpack,
} from '@gatewayworker/protocol'
import { onTestFinished } from 'vitest'
import { Inbox } from '../../gateway/test/support/inbox.ts'
import { type KeptFrame, keep } from '../../gateway/test/support/raw-peer.ts'
import { RecordedLog } from '../../gateway/test/support/recorded-log.ts'
import { startRegister } from '../../gateway-client/test/start-cluster.ts'
import { announceGateway } from '../../register/src/index.ts'
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

/** The gateway's end of a worker's link, frame by frame: a gateway without any behaviour of its own, but that it lets go who asks for it. */
export class RawGateway {
  /** What the worker says it has handled: pairs of a client and a number. */
  readonly acknowledgements = new Inbox<[connectionId: number, number: number][]>()
  /** The command of everything that came, in order. */
  readonly commands: number[] = []
  /** All else that the worker says. */
  readonly frames = new Inbox<KeptFrame>()
  readonly link: Link
  /** Whether a worker that asks to leave is answered; else its question is in `frames`. */
  letsGo = true

  constructor(link: Link) {
    this.link = link
  }

  readonly onFrame = (frame: Frame): void => {
    this.commands.push(frame.command)
    if (frame.command === Command.ACKNOWLEDGE) this.acknowledgements.push(readPairs(frame.body))
    else if (frame.command === Command.LEAVE && this.letsGo) this.link.answer(frame.id, null)
    else this.frames.push(keep(frame))
  }

  /** This worker serves a client from now on, of which so many events are handled. */
  introduce(connectionId: number, session: object = {}, handled = 0): void {
    const context = msgpack.encode({ gatewayPort: 7272, remoteAddress: '10.0.0.1', remotePort: 50_000 })
    this.link.send(Command.CLIENT_CONTEXT, connectionId, 0, msgpack.encode(session), context, handled)
  }

  /** A client is there, with this session; its handshake follows. */
  connect(connectionId: number, session: object = {}, handshake: object = {}): void {
    this.introduce(connectionId, session)
    this.link.send(Command.ON_CONNECT, connectionId, Flag.SCALAR)
    this.link.send(Command.ON_WEBSOCKET_CONNECT, connectionId, 0, '', msgpack.encode(handshake))
  }

  message(connectionId: number, text: string | Buffer, flag = 0): void {
    const kind = typeof text === 'string' ? Flag.SCALAR : Flag.SCALAR | Flag.BINARY
    this.link.send(Command.ON_MESSAGE, connectionId, kind | flag, '', text)
  }

  close(connectionId: number, reason: CloseReason = 'client'): void {
    this.link.send(Command.ON_CLOSE, connectionId, 0, '', msgpack.encode({ reason }))
  }
}

/** A gateway's process, which workers link to. */
export interface RawGatewayProcess {
  readonly address: string
  readonly links: Inbox<RawGateway>
  /** It is gone at once, and from the register too. */
  kill(): Promise<void>
}

/** Starts the process of a raw gateway that is announced at a register; it ends with the test. */
export async function startRawGateway(
  registerAddress: string,
  { instance = createInstanceId(), onLink = (_gateway: RawGateway) => {}, port = 0 } = {},
): Promise<RawGatewayProcess> {
  const links = new Inbox<RawGateway>()
  const sockets: Link[] = []
  const listener = new LinkListener({
    host: '127.0.0.1',
    instance,
    onLink: (link) => {
      const gateway = new RawGateway(link)
      sockets.push(link)
      links.push(gateway)
      onLink(gateway)
      return gateway
    },
    port,
    secretKey: '',
  })
  const address = `127.0.0.1:${(await listener.listen()).port}`
  const announcer = announceGateway(address, { registerAddresses: [registerAddress] })
  const kill = async () => {
    await announcer.close()
    for (const link of sockets) link.destroy()
    await listener.close()
  }
  onTestFinished(kill)
  return { address, kill, links }
}

/** Starts a worker that is linked to a raw gateway. */
export async function linkToRawGateway(
  events: Events,
  options: Partial<BusinessWorkerOptions> = {},
): Promise<{
  gateway: RawGateway
  log: RecordedLog
  process: RawGatewayProcess
  register: Awaited<ReturnType<typeof startRegister>>
  worker: BusinessWorker
}> {
  const register = await startRegister()
  const process = await startRawGateway(register.address)
  const started = await startWorker(register.address, events, options)
  return { ...started, gateway: await process.links.next(), process, register }
}

function readPairs(body: Buffer): [number, number][] {
  const pairs: [number, number][] = []
  for (let at = 0; at < body.length; at += 8) pairs.push([body.readUInt32BE(at), body.readUInt32BE(at + 4)])
  return pairs
}
