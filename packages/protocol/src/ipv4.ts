import { isIPv4 } from 'node:net'

/** An IPv4 address as the number that frames carry; 0 for any other text. */
export function ipToNumber(address: string): number {
  if (!isIPv4(address)) return 0
  return address.split('.').reduce((number, octet) => number * 256 + Number(octet), 0)
}

/** The dotted form of an IPv4 address in a frame. */
export function numberToIp(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff).join('.')
}
