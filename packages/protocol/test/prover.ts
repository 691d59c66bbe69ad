import { createHash, createHmac } from 'node:crypto'
import { msgpack } from '../src/codec.ts'
import { buildFrame } from './build-frame.ts'
import type { RawSocket } from './raw-socket.ts'

const sha256 = (part: Buffer | string) => createHash('sha256').update(part).digest()

/** The proof as the README describes it, built without what is tested. */
export function proofOf(secret: string, prover: string, ...parts: (Buffer | string)[]): Buffer {
  return createHmac('sha256', secret)
    .update(Buffer.concat([Buffer.from(`gatewayworker-${prover}\0`), ...parts.map(sha256)]))
    .digest()
}

/** A native hello's JSON. */
export function helloBody(native: object = {}, rest: object = {}): string {
  const all = { version: 3, instance: 'the dialer', nonce: 'ab'.repeat(32), ...native }
  return JSON.stringify({ worker_key: 'Chat:1', secret_key: false, native: all, ...rest })
}

/** A dialer that knows a secret: says hello, and proves what it is asked for; resolves with the proof that the listener gives in its HELLO. */
export async function logIn(peer: RawSocket, secret: string, cmd = 202, body = helloBody()) {
  peer.say({ cmd, flag: 1, body })
  const challenge = (await peer.frame()).subarray(28)
  peer.say({ cmd: 121, body: proofOf(secret, 'link-dialer', String(cmd), body, challenge) })
  const hello = await peer.frame()
  return { challenge, command: hello[4], value: msgpack.decode(hello.subarray(28)) as Record<string, unknown> }
}

/** What a listener says that knows the secret, to a dialer's hello and then to its proof. */
export function challengeFrame(challenge: Buffer): Buffer {
  return buildFrame({ cmd: 120, body: challenge })
}

export function helloFrame(instance: string, proof?: Buffer): Buffer {
  return buildFrame({ cmd: 100, body: msgpack.encode({ version: 3, instance, proof }) })
}
