import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** Who proves that it knows the secret. The labels are different, so that no proof can be thrown back at whoever gave it. */
export type Prover = 'link-dialer' | 'link-listener' | 'register-client' | 'register-server'

type Bytes = Uint8Array | string

const NONCE_BYTES = 32

/** 64 random hex digits, good for one connection: what makes an old proof worthless. */
export function createNonce(): string {
  return randomBytes(NONCE_BYTES).toString('hex')
}

/**
 * Shows knowledge of the secret without telling it: HMAC-SHA256, with the secret as its key, of `gatewayworker-PROVER`, a zero byte, and the
 * SHA-256 of each part of what was said. The parts hold a nonce of either side; whatever else they hold cannot be altered on the way.
 */
export function prove(secretKey: string, prover: Prover, parts: readonly Bytes[]): Buffer {
  const hmac = createHmac('sha256', secretKey).update(`gatewayworker-${prover}\0`)
  for (const part of parts) hmac.update(createHash('sha256').update(part).digest())
  return hmac.digest()
}

/** Whether something that a peer sent is that proof; anything may be passed. Takes a time that tells nothing about the right one. */
export function isProof(given: unknown, secretKey: string, prover: Prover, parts: readonly Bytes[]): boolean {
  const right = prove(secretKey, prover, parts)
  return given instanceof Uint8Array && given.length === right.length && timingSafeEqual(given, right)
}
