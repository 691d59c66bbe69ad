import { lookup } from 'node:dns/promises'
import { BlockList, isIPv6 } from 'node:net'
import { GatewayWorkerError } from './errors.ts'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Addresses that nobody on the internet can reach. */
const internal = new BlockList()
internal.addSubnet('10.0.0.0', 8, 'ipv4')
internal.addSubnet('169.254.0.0', 16, 'ipv4')
internal.addSubnet('172.16.0.0', 12, 'ipv4')
internal.addSubnet('192.168.0.0', 16, 'ipv4')
internal.addSubnet('fc00::', 7, 'ipv6')
internal.addSubnet('fe80::', 10, 'ipv6')

const MIN_SECRET_LENGTH = 16

/** Whether a secret, if it is one, can be guessed by whoever has one proof or bind token. */
export function isShortSecret(secretKey: string): boolean {
  return secretKey !== '' && secretKey.length < MIN_SECRET_LENGTH
}

/** Whether what is said to or by this IP address stays on this machine. IPv4 may be written as IPv6 (`::ffff:127.0.0.1`). */
export function isLoopback(address: string): boolean {
  return isIn(loopback, address)
}

/** Whether others than this network may reach what is bound to this IP address: a public one, or the unspecified one, which stands for all. */
export function isPublic(address: string): boolean {
  return !isIn(loopback, address) && !isIn(internal, address)
}

/**
 * The IP address to bind for a host. Rejects with PUBLIC_WITHOUT_SECRET where everybody could come and nobody is asked for a secret, with
 * WEAK_SECRET where others than this host come and the secret is short, and with the system's error for a name that stands for nothing.
 */
export async function findAddressToBind(host: string, secretKey = ''): Promise<string> {
  const { address } = await lookup(host)
  if (isShortSecret(secretKey) && !isLoopback(address)) {
    const words = `the secret key has fewer than ${MIN_SECRET_LENGTH} characters, and other hosts can reach ${host}: nothing is bound there`
    throw new GatewayWorkerError('WEAK_SECRET', words)
  }
  if (secretKey !== '' || !isPublic(address)) return address
  throw new GatewayWorkerError(
    'PUBLIC_WITHOUT_SECRET',
    `${host} may be reached by everybody, and there is no secret key: nothing is bound there`,
  )
}

function isIn(list: BlockList, address: string): boolean {
  const [ip = ''] = address.split('%', 1) // without the zone of a link-local address
  return list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4')
}
