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

/** A native hello's JSON, for a gateway on this port of 127.0.0.1. */
export function helloBody(port = 0, native: object = {}, rest: object = {}): string {
  const all = { version: 4, instance: 'the dialer', nonce: 'ab'.repeat(32), to: `127.0.0.1:${port}`, ...native }
  return JSON.stringify({ worker_key: 'Chat:1', secret_key: false, native: all, ...rest })
}

/** A dialer that knows a secret: says hello, and proves what it is asked for; resolves with the proof that the listener gives in its HELLO. */
export async function logIn(peer: RawSocket, secret: string, cmd = 202, body = helloBody(peer.socket.remotePort)) {
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
  return buildFrame({ cmd: 100, body: msgpack.encode({ version: 4, instance, proof }) })
}
