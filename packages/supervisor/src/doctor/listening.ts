import { networkInterfaces } from 'node:os'
import type { Address } from '../address.ts'

/** Whether whoever dials an address reaches one of those who listen here. */
export function startsAmong({ host, port }: Address, listening: readonly Address[]): boolean {
  return listening.some((own) => own.port === port && (own.host === host || (isWildcard(own.host) && isThisHost(host))))
}

/** Whether one cannot be listened on while the other is. */
export function overlap(one: Address, other: Address): boolean {
  if (one.port !== other.port) return false
  return one.host === other.host || isWildcard(one.host) || isWildcard(other.host)
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

function isThisHost(host: string): boolean {
  if (host === 'localhost') return true
  return Object.values(networkInterfaces()).some((addresses) => addresses!.some(({ address }) => address === host))
}
