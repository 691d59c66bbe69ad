import { formatAddress } from './address.ts'
import type { ListenOption } from './define-app.ts'
import type { StartFailure } from './messages.ts'

/** One line for a port or host that cannot be listened on, naming it and the option to change; undefined for any other failure. */
export function explainFailure(
  { address, code, hostname, message, port = 0 }: StartFailure,
  ports: readonly ListenOption[],
): string | undefined {
  const unresolved = ports.find(({ host }) => hostname !== undefined && host === hostname)
  if (unresolved !== undefined)
    return `no address is known for the host name ${hostname}; correct ${unresolved.hostOption}`
  if (address === undefined) return undefined
  const { hostOption, portOption } = ports.find((listen) => listen.port === port) ?? {}
  const change = (option: string | undefined) => (option === undefined ? '' : `; choose another with ${option}`)
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port} on ${address} is already in use${change(portOption)}`
    case 'EACCES':
      return `port ${port} on ${address} needs more rights than this user has${change(portOption)}`
    case 'EADDRNOTAVAIL':
      return `${address} is not an address of this machine${change(hostOption)}`
    default:
      return `cannot listen on ${formatAddress({ host: address, port })}: ${message}${change(portOption)}`
  }
}
