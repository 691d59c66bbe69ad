import { GatewayWorkerError } from '@gatewayworker/protocol'

/** "host:port", or "[IPv6]:port", in its parts. Throws BAD_REGISTER_ADDRESS. */
export function parseRegisterAddress(address: string): { host: string; port: number } {
  const [, host, port] = /^(\[[\d:a-f]+\]|[^\s:/[\]]+):(\d{1,5})$/i.exec(String(address)) ?? []
  if (host === undefined || Number(port) < 1 || Number(port) > 65535) {
    throw new GatewayWorkerError('BAD_REGISTER_ADDRESS', `${JSON.stringify(address)} is no register address`)
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}
