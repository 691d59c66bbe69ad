import { BlockList, isIP, isIPv6, SocketAddress } from 'node:net'

/** Words for the ranges that people mean most. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', 'fc00::/7', 'fe80::/10'],
}

const GROUPS_OF_AN_ADDRESS = 8
const GROUPS_OF_A_NETWORK = 4

/** IP addresses, given one by one, as ranges (`10.0.0.0/8`) or by a word: `loopback`, `private`. */
export class AddressSet {
  readonly #list = new BlockList()

  /** Throws a TypeError that names what is none of these. */
  constructor(items: readonly string[]) {
    for (const range of items.flatMap((item) => WORDS[item] ?? [item])) this.#add(range)
  }

  has(address: string): boolean {
    return this.#list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  }

  #add(range: string): void {
    const [, address = '', prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(range) ?? []
    const bits = isIPv6(address) ? 128 : 32
    if (isIP(address) === 0 || Number(prefix ?? 0) > bits) {
      throw new TypeError(`"${range}" is no IP address, no range such as 10.0.0.0/8, and none of loopback, private`)
    }
    this.#list.addSubnet(address, Number(prefix ?? bits), bits === 128 ? 'ipv6' : 'ipv4')
  }
}

/** An IP address in the one way to write it; one of IPv4 that is mapped into IPv6 as IPv4; undefined for what is none. */
export function plainAddress(text: string): string | undefined {
  const [withoutZone = ''] = text.split('%', 1)
  switch (isIP(withoutZone)) {
    case 4:
      return withoutZone
    case 6:
      return new SocketAddress({ address: withoutZone, family: 'ipv6' }).address.replace(/^::ffff:(?=\d+\.)/, '')
    default:
      return undefined
  }
}

/** Whom an address stands for: itself, but of IPv6 its /64, which is what one household or host has. `address` is plain. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const first = head.split(':').filter(Boolean)
  const last = tail?.split(':').filter(Boolean) ?? []
  const zeros = Array(Math.max(GROUPS_OF_AN_ADDRESS - first.length - last.length, 0)).fill('0')
  return `${[...first, ...zeros, ...last].slice(0, GROUPS_OF_A_NETWORK).join(':')}::/64`
}
