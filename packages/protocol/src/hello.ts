import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { LinkCommand } from './commands.ts'
import { GatewayWorkerError } from './errors.ts'
import type { Frame } from './frame.ts'

/** The version of the native dialect that this package speaks. */
export const NATIVE_VERSION = 1

/** Who dials: a worker serves clients and has a label, a client only pushes and asks. */
export type Role = { kind: 'worker'; workerKey: string } | { kind: 'client' }

/** What a dialer says first. */
export interface Hello {
  /** Random name of the dialing process, new at each start. */
  instance: string
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

/** Reads a dialer's first frame. Throws BAD_HELLO if it is none of ours. */
export function decodeHello(frame: Frame): Hello {
  if (frame.command !== LinkCommand.WORKER_CONNECT && frame.command !== LinkCommand.GATEWAY_CLIENT_CONNECT) {
    throw new GatewayWorkerError('BAD_HELLO', `the first frame is command ${frame.command} and not a hello`)
  }
  const { native, secret_key: secretKey, worker_key: workerKey } = parseObject(frame.bodyText)
  const { instance, version } = (native ?? {}) as Record<string, unknown>
  if (version !== NATIVE_VERSION || typeof instance !== 'string') {
    throw new GatewayWorkerError('BAD_HELLO', `the peer does not speak version ${NATIVE_VERSION} of the native dialect`)
  }
  const role: Role =
    frame.command === LinkCommand.GATEWAY_CLIENT_CONNECT
      ? { kind: 'client' }
      : { kind: 'worker', workerKey: typeof workerKey === 'string' ? workerKey : '' }
  return { instance, role, secretKey: typeof secretKey === 'string' ? secretKey : '' }
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new GatewayWorkerError('BAD_HELLO', 'the first frame holds no JSON', { cause })
  }
  if (typeof value !== 'object' || value === null)
    throw new GatewayWorkerError('BAD_HELLO', 'the first frame holds no object')
  return value as Record<string, unknown>
}
