import { GatewayWorkerError } from './errors.ts'
import { isLoopback } from './network-address.ts'
import type { TlsIdentity } from './tls.ts'

/** Which peers may be told the secret in clear, as PHP's processes want it: none, those on loopback, or any. */
export type AllowLegacy = boolean | 'loopback'

/** What a process shows to the others of its cluster, and wants to be shown by them. */
export interface Credentials {
  /**
   * Whether this process tells the secret in clear to gateways and registers that may be PHP's: `false` (default) to none, `'loopback'` to
   * those on loopback, `true` to any. A port lets PHP peers in that say the secret themselves: from loopback always, from elsewhere with `true`.
   */
  allowLegacy?: AllowLegacy
  /** What every process of the cluster knows; '' or none lets everybody in. */
  secretKey?: string
  /** Encrypts links and the connections to registers, between processes that each have a certificate of the same CA; PHP's have none. */
  tls?: TlsIdentity
}

/** The credentials among other options. */
export function credentialsOf({ allowLegacy, secretKey, tls }: Credentials): Credentials {
  return { allowLegacy, secretKey, tls }
}

/** The addresses, "HOST:PORT", at which a peer has proved that it knows the secret, and so is none of PHP's. */
const natives = new Set<string>()

/** A peer at this "HOST:PORT" has proved that it knows the secret: from now on whoever is there is not told it in clear. */
export function rememberNative(address: string): void {
  natives.add(address)
}

/** Whether one of ours has been at this "HOST:PORT" in the life of this process. */
function wasNative(address: string): boolean {
  return natives.has(address)
}

/** Whether the peer at this "HOST:PORT", reached at the IP address `ip`, may be told the secret in clear. */
export function mayTellSecret({ allowLegacy, tls }: Credentials, address: string, ip: string | undefined): boolean {
  if (tls !== undefined || ip === undefined || wasNative(address)) return false
  return allowLegacy === true || (allowLegacy === 'loopback' && isLoopback(ip))
}

/** Why a peer that ends the connection without a word, as PHP's do, is not told the secret, and what would change that; `name` is the peer's. */
export function legacyNotAllowed(address: string, ip: string | undefined, name = address): GatewayWorkerError {
  const what = `${name} closed the connection without a word`
  if (wasNative(address)) {
    const words = `${what}. Does it speak TLS? A process of ours was there before, so the secret key is not sent: if it is a PHP process now, restart this process`
    return new GatewayWorkerError('LEGACY_NOT_ALLOWED', words)
  }
  const option = isLoopback(ip ?? '') ? '--allow-legacy loopback' : '--allow-legacy all'
  const words = `${what}. Does it speak TLS? If it is a PHP process, it needs the secret key in clear text: set ${option}`
  return new GatewayWorkerError('LEGACY_NOT_ALLOWED', words)
}
