import type { TlsIdentity } from './tls.ts'

/** What a process shows to the others of its cluster, and wants to be shown by them. */
export interface Credentials {
  /**
   * Whether the secret may be said in clear, as PHP's processes say it and want it said, to and by others than those on loopback, where it
   * always may. Default false.
   */
  allowLegacy?: boolean
  /** What every process of the cluster knows; '' or none lets everybody in. */
  secretKey?: string
  /** Encrypts links and the connections to registers, between processes that each have a certificate of the same CA; PHP's have none. */
  tls?: TlsIdentity
}

/** The credentials among other options. */
export function credentialsOf({ allowLegacy, secretKey, tls }: Credentials): Credentials {
  return { allowLegacy, secretKey, tls }
}
