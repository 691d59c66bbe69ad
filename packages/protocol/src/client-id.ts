import { isIPv4 } from 'node:net'

/** Hex digits of a client id that name its gateway: address (8) and LAN port (4); the connection's 8 follow. */
const GATEWAY_KEY_LENGTH = 12
const CLIENT_ID = /^[0-9a-f]{20}$/

/** The part of every client id that all clients of one gateway share. `address` is its announced "IPv4:port". */
export function gatewayKey(address: string): string {
  const colon = address.lastIndexOf(':')
  const ip = address.slice(0, colon)
  const port = /^\d{1,5}$/.test(address.slice(colon + 1)) ? Number(address.slice(colon + 1)) : 0
  if (!isIPv4(ip) || port < 1 || port > 65535) {
    throw new TypeError(`a gateway's LAN address is IPv4:port, not "${address}"`)
  }
  const octets = ip.split('.').map((octet) => Number(octet).toString(16).padStart(2, '0'))
  return octets.join('') + port.toString(16).padStart(4, '0')
}

/** The address that a gateway key was made from. */
export function gatewayAddress(key: string): string {
  const octets = [0, 2, 4, 6].map((at) => Number.parseInt(key.slice(at, at + 2), 16))
  return `${octets.join('.')}:${Number.parseInt(key.slice(8), 16)}`
}

/** The public name of a client: 20 lower-case hex digits (wire.md section 2). */
export function encodeClientId(key: string, connectionId: number): string {
  return key + connectionId.toString(16).padStart(8, '0')
}

/** Whether this could be a client id; anything may be passed. */
export function isClientId(value: unknown): value is string {
  return typeof value === 'string' && CLIENT_ID.test(value)
}

/** The gateway's part of a client id. */
export function gatewayKeyOf(clientId: string): string {
  return clientId.slice(0, GATEWAY_KEY_LENGTH)
}

/** The connection's number within its gateway. */
export function connectionIdOf(clientId: string): number {
  return Number.parseInt(clientId.slice(GATEWAY_KEY_LENGTH), 16)
}
