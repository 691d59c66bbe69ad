import { type AddressInfo, createServer } from 'node:net'
import { expect, onTestFinished } from 'vitest'
import { msgpack } from '../src/codec.ts'
import { Command } from '../src/commands.ts'
import { Dialer, type DialerOptions, type GatewayLink } from '../src/dial.ts'
import type { GatewayWorkerError } from '../src/errors.ts'
import type { Frame } from '../src/frame.ts'
import { buildAnswer, buildFrame, type WireFields } from './build-frame.ts'
import { keptLog, signal } from './link-pair.ts'
import { RawSocket } from './raw-socket.ts'

export const SCALAR = 1
export const OWN_CHANGE = 32
/** Generous, because it only decides how long a failure takes. */
export const DEADLINE_MS = 5_000

/** What the native half of the project is told: a name, the connection, and what came with it, decoded. */
export type Told = [what: string, connectionId: number, ...details: unknown[]]

const NAMES: Record<number, string> = {
  [Command.ON_CONNECT]: 'connect',
  [Command.ON_MESSAGE]: 'message',
  [Command.ON_CLOSE]: 'close',
}

function read(frame: Frame): Told {
  const { body, command, connectionId, flag } = frame
  const session = () => (frame.extLength === 0 ? {} : msgpack.decode(Buffer.from(frame.ext)))
  switch (command) {
    case Command.CLIENT_CONTEXT:
      return ['context', connectionId, session(), msgpack.decode(Buffer.from(body))]
    case Command.SESSION_CHANGED:
      return ['session', connectionId, flag, session()]
    case Command.ON_WEBSOCKET_CONNECT:
      return ['handshake', connectionId, msgpack.decode(Buffer.from(body))]
    default:
      return [NAMES[command] ?? `command ${command}`, connectionId, flag, body.toString('latin1')]
  }
}

/** A server whose connections are taken one by one. */
export async function serve(host = '127.0.0.1', port = 0) {
  const waiting: RawSocket[] = []
  let arrived = signal()
  const server = createServer((socket) => {
    waiting.push(new RawSocket(socket))
    arrived.resolve()
  })
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  onTestFinished(() => void server.close())
  const next = async () => {
    while (waiting.length === 0) {
      arrived = signal()
      await arrived.promise
    }
    return waiting.shift()!
  }
  return { port: (server.address() as AddressInfo).port, next }
}

/** A dialer, and everything that its link tells. */
export function dial(port: number, options: Partial<DialerOptions> = {}) {
  const up = signal<GatewayLink>()
  const instances: (string | undefined)[] = []
  const downs: GatewayWorkerError[] = []
  const events: Told[] = []
  /** How many events of a client count as handled when its context is told. */
  const handledBefore = new Map<number, number>()
  const closed = signal<GatewayWorkerError | undefined>()
  const dialer = new Dialer({
    hello: { instance: 'ours', role: { kind: 'worker', workerKey: 'Chat:0' }, secretKey: '' },
    host: '127.0.0.1',
    onDown: (error) => downs.push(error),
    onUp: (link, instance) => {
      instances.push(instance)
      up.resolve(link)
      const onFrame = (frame: Frame) => {
        if (frame.command === Command.CLIENT_CONTEXT) handledBefore.set(frame.connectionId, frame.id)
        events.push(read(frame))
      }
      return { onFrame, onClose: (_link, error) => closed.resolve(error) }
    },
    port,
    ...options,
  })
  onTestFinished(() => dialer.destroy())
  return { closed: closed.promise, dialer, downs, events, handledBefore, instances, up: up.promise }
}

/** What the dialer says first: who it is, and the question that tells a legacy gateway from ours. */
export const HELLO = buildFrame({
  cmd: 200,
  flag: SCALAR,
  body: '{"worker_key":"Chat:0","secret_key":"","native":{"version":4,"instance":"ours"}}',
})
export const FIRST_QUESTION = buildFrame({ cmd: 11, flag: SCALAR })
export const FIRST_ANSWER = buildAnswer('i:0;')

/** An event as PHP's gateway writes it, of a client at 10.0.0.9. */
export function event(fields: WireFields): Buffer {
  return buildFrame({
    local_ip: 0x7f000001,
    local_port: 2900,
    client_ip: 0x0a000009,
    client_port: 50_001,
    gateway_port: 7272,
    flag: SCALAR,
    ...fields,
  })
}

export const ORIGIN = { gatewayPort: 7272, remoteAddress: '10.0.0.9', remotePort: 50_001 }

/** A link of ours to a scripted PHP gateway, that has been recognised. */
export async function linkToPhp(options: Partial<DialerOptions> = {}) {
  const log = keptLog()
  const server = await serve()
  const dialed = dial(server.port, { log, ...options })
  const php = await server.next()
  await php.take(HELLO.length + FIRST_QUESTION.length)
  php.write(FIRST_ANSWER)
  const link = await dialed.up
  /** Everything that PHP said before has been told. */
  const settled = async () => {
    const answered = link.ask(Command.IS_ONLINE, DEADLINE_MS, 77)
    expect(await php.frame()).toEqual(buildFrame({ cmd: 11, connection_id: 77, flag: SCALAR }))
    php.write(buildAnswer('i:1;'))
    expect(await answered).toBe(1)
  }
  return { ...dialed, link, log, php, settled }
}
