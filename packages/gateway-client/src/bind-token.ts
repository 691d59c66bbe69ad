import { createHmac, timingSafeEqual } from 'node:crypto'
import { GatewayWorkerError, isClientId } from '@gatewayworker/protocol'
import { checkClientId } from './arguments.ts'

export interface BindTokenOptions {
  /** How long the token is good for, in whole seconds. Default 60. */
  ttlS?: number
}

const DEFAULT_TTL_S = 60
const TOKEN = /^(\d+)\.([0-9a-f]{64})$/

/**
 * What a page shows the site to prove that a client id is its own: `EXPIRES.SIGNATURE`, where EXPIRES is in seconds since 1970 and
 * SIGNATURE the hexadecimal HMAC-SHA256 of `gatewayworker-bind:CLIENT_ID:EXPIRES` with the cluster's secret.
 *
 * Throws NO_SECRET_KEY, BAD_CLIENT_ID, and a RangeError for a `ttlS` that is no whole number of seconds above 0.
 */
export function createBindToken(secretKey: string, clientId: string, options: BindTokenOptions = {}): string {
  const { ttlS = DEFAULT_TTL_S } = options
  if (!Number.isSafeInteger(ttlS) || ttlS < 1) throw new RangeError(`ttlS is whole seconds above 0, not ${ttlS}`)
  const expires = String(nowS() + ttlS)
  return `${expires}.${sign(secretKey, checkClientId(clientId), expires).toString('hex')}`
}

/** Whether the token was made for this client id with this secret and is still good; anything may be passed. Throws NO_SECRET_KEY. */
export function verifyBindToken(secretKey: string, clientId: unknown, token: unknown): boolean {
  checkSecretKey(secretKey)
  if (!isClientId(clientId) || typeof token !== 'string') return false
  const [, expires, signature] = TOKEN.exec(token) ?? []
  if (expires === undefined || signature === undefined) return false
  return timingSafeEqual(sign(secretKey, clientId, expires), Buffer.from(signature, 'hex')) && nowS() < Number(expires)
}

// The name in front keeps what is signed here apart from whatever else is signed with this secret, and no two pairs of client id and
// expiry make the same text.
function sign(secretKey: string, clientId: string, expires: string): Buffer {
  checkSecretKey(secretKey)
  return createHmac('sha256', secretKey).update(`gatewayworker-bind:${clientId}:${expires}`).digest()
}

/** Everybody knows the empty secret, and could sign with it. */
function checkSecretKey(secretKey: string): void {
  if (secretKey === '') throw new GatewayWorkerError('NO_SECRET_KEY', 'without a secret there are no bind tokens')
}

function nowS(): number {
  return Math.floor(Date.now() / 1000)
}
