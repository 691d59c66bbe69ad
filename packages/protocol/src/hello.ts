import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { isPlainObject } from './codec.ts'
import { LinkCommand } from './commands.ts'
import { GatewayWorkerError } from './errors.ts'
import type { Frame } from './frame.ts'

/** The version of the native dialect that this package speaks. */
export const NATIVE_VERSION = 2

/** Who dials: a worker serves clients and has a label, a client only pushes and asks. */
export type Role = { kind: 'worker'; workerKey: string } | { kind: 'client' }

/** What a dialer says first. */
export interface Hello {
  /** Random name of the dialing process, new at each start; undefined if it is PHP's. */
  instance: string | undefined
  role: Role
  secretKey: string
}

/** A name for this process that no other has, nor itself after a restart: 16 hex digits. */
export function createInstanceId(): string {
  return randomBytes(8).toString('hex')
}

/** Whether two secrets are the same, in a time that tells nothing about either. */
export function isSameSecret(given: string, expected: string): boolean {
  const digest = (secret: string) => createHash('sha256').update(secret).digest()
  return timingSafeEqual(digest(given), digest(expected))
}

/** The command and body of a dialer's first frame. */
export function encodeHello(hello: Hello): { command: number; body: string } {
  const native = { version: NATIVE_VERSION, instance: hello.instance }
  if (hello.role.kind === 'client') {
    return {
      command: LinkCommand.GATEWAY_CLIENT_CONNECT,
      body: JSON.stringify({ secret_key: hello.secretKey, native }),
    }
  }
  const body = JSON.stringify({ worker_key: hello.role.workerKey, secret_key: hello.secretKey, native })
  return { command: LinkCommand.WORKER_CONNECT, body }
}

/** Reads a hello; undefined if the frame is none. Throws BAD_HELLO if it makes no sense, or is of another version. */
export function decodeHello(frame: Frame): Hello | undefined {
  if (frame.command !== LinkCommand.WORKER_CONNECT && frame.command !== LinkCommand.GATEWAY_CLIENT_CONNECT) {
    return undefined
  }
  const { native, secret_key: secretKey, worker_key: workerKey } = parseObject(frame.bodyText)
  const role: Role =
    frame.command === LinkCommand.GATEWAY_CLIENT_CONNECT
      ? { kind: 'client' }
      : { kind: 'worker', workerKey: typeof workerKey === 'string' ? workerKey : '' }
  const instance = native === undefined ? undefined : readInstance(native)
  return { instance, role, secretKey: typeof secretKey === 'string' ? secretKey : '' }
}

function readInstance(native: unknown): string {
  const { instance, version } = (native ?? {}) as Record<string, unknown>
  if (version === NATIVE_VERSION && typeof instance === 'string') return instance
  throw new GatewayWorkerError('BAD_HELLO', `the peer does not speak version ${NATIVE_VERSION} of the native dialect`)
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new GatewayWorkerError('BAD_HELLO', 'the first frame holds no JSON', { cause })
  }
  if (!isPlainObject(value)) throw new GatewayWorkerError('BAD_HELLO', 'the first frame holds no object')
  return value
}
