import type { Credentials, GatewayWorkerError, Log } from '@gatewayworker/protocol'

/** How to take part in a cluster, whatever tells who is in it. */
export interface DiscoveryOptions extends Credentials {
  /** How long a register that answers pings may be silent until it is away, in milliseconds. Default 45 000. */
  linkTimeoutMs?: number
  log?: Log
  /** A register, or an engine in its place, could not be reached, or has ended the connection. It is tried again. */
  onFailure?(error: Error): void
  /** A register and this process do not come together: WRONG_SECRET or WRONG_VERSION. It is asked again every second. */
  onRefused?(error: GatewayWorkerError): void
  /** Whether taking part keeps this process running. Default true. */
  persistent?: boolean
  /** "host:port" of every register, or `etcd://…` of every etcd in place of one. */
  registerAddresses: readonly string[]
}

/** A gateway's side: its address is online as long as this is open and its process lives. */
export interface Announcer {
  /** Whether everybody who tells who is online has been lost, and nobody is back. */
  readonly isCutOff: boolean
  /** Why each register that is away is so, in words. */
  readonly problems: string[]
  /** Withdraws the address; resolves when that was said, or cannot be. */
  close(): Promise<void>
}

/** A worker's or backend's side: hears which gateways are online. */
export interface Watcher {
  /** Whether nobody listens at any of the addresses, as far as was tried. */
  readonly isUnreachable: boolean
  /** Why each register that is away is so, in words. */
  readonly problems: string[]
  close(): void
  /** Whether a gateway is online as far as can be asked now; undefined if nobody can be asked: who is merely cut off knows nothing. */
  knows(address: string): boolean | undefined
}
