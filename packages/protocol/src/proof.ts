import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** Who proves that it knows the secret. The labels are different, so that no proof can be thrown back at whoever gave it. */
export type Prover = 'link-dialer' | 'link-listener' | 'register-client' | 'register-server'

/** The SHA-256 of a part, for one that need not be kept. */
export class Digest {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }
}

type Part = Digest | Uint8Array | string

const NONCE_BYTES = 32

/** 64 random hex digits, good for one connection: what makes an old proof worthless. */
export function createNonce(): string {
  return randomBytes(NONCE_BYTES).toString('hex')
}

/** What stands for a part in a proof. */
export function digest(part: Uint8Array | string): Digest {
  return new Digest(createHash('sha256').update(part).digest())
}

/**
 * Shows knowledge of the secret without telling it: HMAC-SHA256, with the secret as its key, of `gatewayworker-PROVER`, a zero byte, and the
 * SHA-256 of each part of what was said. The parts hold a nonce of either side; whatever else they hold cannot be altered on the way.
 */
export function prove(secretKey: string, prover: Prover, parts: readonly Part[]): Buffer {
  const hmac = createHmac('sha256', secretKey).update(`gatewayworker-${prover}\0`)
  for (const part of parts) hmac.update((part instanceof Digest ? part : digest(part)).bytes)
  return hmac.digest()
}

/** Whether something that a peer sent is that proof; anything may be passed. Takes a time that tells nothing about the right one. */
export function isProof(given: unknown, secretKey: string, prover: Prover, parts: readonly Part[]): boolean {
  const right = prove(secretKey, prover, parts)
  return given instanceof Uint8Array && given.length === right.length && timingSafeEqual(given, right)
}
