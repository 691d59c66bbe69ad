import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { isPlainObject } from './codec.ts'
import { LinkCommand } from './commands.ts'
import { GatewayWorkerError } from './errors.ts'
import type { Frame } from './frame.ts'

/** The version of the native dialect that this package speaks. */
export const NATIVE_VERSION = 4

/** The longest frame of a peer that has not proved yet who it is: nobody unknown makes us hold more. */
export const MAX_HELLO_BYTES = 4 * 1024

/** Who dials: a worker serves clients and has a label, a client only pushes and asks. */
export type Role = { kind: 'worker'; workerKey: string } | { kind: 'client' }

/** What a dialer says first. */
export interface Hello {
  /** Random name of the dialing process, new at each start; undefined if it is PHP's. */
  instance: string | undefined
  role: Role
  /** As read, only what PHP has said; our own prove that they know it. */
  secretKey: string
}

/** What a hello has besides where there is a secret. The proof covers the hello, and so this. */
export interface ProvedHello {
  /** What makes each hello another. */
  nonce: string
  /** The address that was dialled, "IPv4:port" as the gateway announces it: the proof is for nobody else. */
  to: string
}

/** A hello as it came. */
export interface ReceivedHello extends Hello {
  /** What is to be proved; undefined if the dialer has no secret. */
  proved: ProvedHello | undefined
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

/**
 * The command and body of a dialer's first frame. With a secret it has what is to be `proved`, and the secret itself only where PHP may listen:
 * without it `secret_key` is `false`, which is no secret that PHP's gateways might have.
 */
export function encodeHello(
  { instance, role, secretKey }: Hello,
  proved: ProvedHello | undefined = undefined,
  saysSecret = true,
): { command: number; body: string } {
  const secret = {
    secret_key: saysSecret ? secretKey : false,
    native: { version: NATIVE_VERSION, instance, ...proved },
  }
  return role.kind === 'client'
    ? { command: LinkCommand.GATEWAY_CLIENT_CONNECT, body: JSON.stringify(secret) }
    : { command: LinkCommand.WORKER_CONNECT, body: JSON.stringify({ worker_key: role.workerKey, ...secret }) }
}

/** Reads a hello; undefined if the frame is none. Throws BAD_HELLO if it makes no sense, WRONG_VERSION if it is of another version. */
export function decodeHello(frame: Frame): ReceivedHello | undefined {
  if (frame.command !== LinkCommand.WORKER_CONNECT && frame.command !== LinkCommand.GATEWAY_CLIENT_CONNECT) {
    return undefined
  }
  const { native, secret_key: secretKey, worker_key: workerKey } = parseObject(frame.bodyText)
  const role: Role =
    frame.command === LinkCommand.GATEWAY_CLIENT_CONNECT
      ? { kind: 'client' }
      : { kind: 'worker', workerKey: typeof workerKey === 'string' ? workerKey : '' }
  const { instance, proved } = native === undefined ? {} : readNative(native)
  return { instance, proved, role, secretKey: typeof secretKey === 'string' ? secretKey : '' }
}

function readNative(native: unknown): { instance: string; proved: ProvedHello | undefined } {
  const { instance, nonce, to, version } = (native ?? {}) as Record<string, unknown>
  if (typeof version === 'number' && version !== NATIVE_VERSION) {
    throw new GatewayWorkerError(
      'WRONG_VERSION',
      `the peer speaks version ${version} of the native dialect, this process version ${NATIVE_VERSION}`,
    )
  }
  if (version !== NATIVE_VERSION || typeof instance !== 'string') {
    throw new GatewayWorkerError('BAD_HELLO', 'the first frame does not say which process it comes from')
  }
  return { instance, proved: typeof nonce === 'string' ? { nonce, to: String(to) } : undefined }
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
