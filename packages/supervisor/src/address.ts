import { isIPv6 } from 'node:net'
import { UsageError } from './usage-error.ts'

/** A host and a port; an IPv6 host is kept without its brackets, port 0 means any free one. */
export interface Address {
  host: string
  port: number
}

const addressPattern = /^(?:\[(?<ipv6>[^\]]+)\]|(?<host>[^\s:/[\]]+)):(?<port>\d{1,5})$/

/** Reads `127.0.0.1:1236`, `host.example:1236` or `[::1]:1236`; anything else is a UsageError. */
export function parseAddress(text: string): Address {
  const { host, ipv6, port } = addressPattern.exec(text)?.groups ?? {}
  const valid = port !== undefined && Number(port) <= 65535 && (ipv6 === undefined || isIPv6(ipv6))
  if (!valid) throw new UsageError(`must be HOST:PORT, such as 127.0.0.1:1236 or [::1]:1236, not "${text}"`)
  return { host: (ipv6 ?? host)!, port: Number(port) }
}

/** Writes an address so that parseAddress reads it. */
export function formatAddress({ host, port }: Address): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}
