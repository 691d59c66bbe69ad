import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { formatAddress } from '../address.ts'
import { type Examination, type Finding, problem, warning } from './examination.ts'
import { overlap } from './listening.ts'
import type { PlannedPort } from './planned-ports.ts'
import { findPortHolder } from './port-holder.ts'

/** Whether the ports of a cluster that does not run can be listened on, and do not get into each other's way. */
export async function examinePorts(ports: readonly PlannedPort[]): Promise<Examination> {
  // Processes of one group share a port on purpose.
  const places = [...new Map(ports.map((port) => [`${port.name} ${formatAddress(port)}`, port])).values()]
  const clashes = places.flatMap((port, at) =>
    places.slice(0, at).flatMap((other) => (overlap(port, other) ? clash(port, other) : [])),
  )
  const tried: Finding[] = []
  // One after the other, so that none is in the way of the next.
  for (const place of places) tried.push(...(await tryPort(place)))
  return {
    checks: [...places.map((port) => `port ${formatAddress(port)} of ${port.name}`), 'ports of different groups'],
    findings: [...clashes, ...tried, ...places.flatMap(findEphemeral)],
  }
}

function clash(port: PlannedPort, other: PlannedPort): Finding {
  const who = port.name === other.name ? `${port.name} needs it twice` : `${other.name} and ${port.name} both need it`
  const options = [...new Set([other.portOption, port.portOption])].join(' or ')
  return problem(
    'GW-PORT-CLASH',
    `Port ${port.port} is there once only: ${who}.`,
    `Move one of them with ${options}; a group with --count N takes N LAN ports from its --start-port on.`,
  )
}

async function tryPort(place: PlannedPort): Promise<Finding[]> {
  const { host, hostOption, name, port, portOption } = place
  if (port > 65535) {
    const what = `${name} would need port ${port}, and 65535 is the last one.`
    return [problem('GW-PORT-RANGE', what, `Lower ${portOption}.`)]
  }
  const server = createServer()
  try {
    await once(server.listen({ exclusive: true, host, port }), 'listening')
    await once(server.close(), 'close')
    return []
  } catch (error) {
    const where = `${formatAddress(place)}, where ${name} is to listen,`
    switch ((error as NodeJS.ErrnoException).code) {
      case 'EADDRINUSE':
        return [taken(where, place)]
      case 'EACCES':
        return [
          problem(
            'GW-PORT-RIGHTS',
            `This user may not listen on ${formatAddress(place)}: ports below 1024 are for root.`,
            `Choose a port above 1023 with ${portOption} and let a proxy have the low one; under systemd AmbientCapabilities=CAP_NET_BIND_SERVICE.`,
          ),
        ]
      case 'EADDRNOTAVAIL':
        return [
          problem(
            'GW-ADDRESS-FOREIGN',
            `${where} is not an address of this host.`,
            `Correct ${hostOption}: \`ip addr\` shows this host's own. Behind NAT or in a container --lan-ip is the address outside, and --lan-listen 0.0.0.0.`,
          ),
        ]
      case 'ENOTFOUND':
      case 'EAI_AGAIN':
        return [
          problem(
            'GW-DNS',
            `The host name "${host}", where ${name} is to listen, cannot be found.`,
            `Correct ${hostOption}.`,
          ),
        ]
      default:
        return [
          problem(
            'GW-PORT-FAILS',
            `${where} cannot be listened on: ${(error as Error).message}.`,
            `Choose another with ${portOption}.`,
          ),
        ]
    }
  }
}

function taken(where: string, { port, portOption }: PlannedPort): Finding {
  const holder = findPortHolder(port)
  const move = `choose another port with ${portOption}`
  if (holder?.name.startsWith('gatewayworker: ')) {
    const what = `${where} is taken by another cluster: "${holder.name}", pid ${holder.pid}.`
    return problem(
      'GW-PORT-TAKEN',
      what,
      `Stop that one (this call did not find it: it has another --run-dir or none), or ${move}.`,
    )
  }
  const who = holder === undefined ? 'another program' : `${holder.name}, pid ${holder.pid}`
  return problem('GW-PORT-TAKEN', `${where} is taken by ${who}.`, `Stop that program, or ${move}.`)
}

/** Any outgoing connection may be given such a port just when a process starts again. */
function findEphemeral({ hostOption, name, port, portOption }: PlannedPort): Finding[] {
  const [lowest, highest] = readNumbers('/proc/sys/net/ipv4/ip_local_port_range')
  // Of plain programs it is not known how much they mind.
  if (hostOption === '' || lowest === undefined || highest === undefined || port < lowest || port > highest) return []
  if (isReserved(port)) return []
  const what = `Port ${port} of ${name} is one that the system hands out to outgoing connections (${lowest} to ${highest}): some day it is taken at a start.`
  return [
    warning(
      'GW-PORT-EPHEMERAL',
      what,
      `Choose one below ${lowest} with ${portOption}, or \`sysctl net.ipv4.ip_local_reserved_ports=${port}\`.`,
    ),
  ]
}

function isReserved(port: number): boolean {
  return readText('/proc/sys/net/ipv4/ip_local_reserved_ports')
    .split(',')
    .some((range) => {
      const [from, to = from] = range.trim().split('-').map(Number)
      return from !== undefined && port >= from && port <= to!
    })
}

function readNumbers(file: string): number[] {
  return readText(file).trim().split(/\s+/).filter(Boolean).map(Number)
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
