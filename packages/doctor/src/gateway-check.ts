import {
  Command,
  type Credentials,
  type GatewayDescription,
  type GatewayWorkerError,
  visitGateway,
} from '@gatewayworker/protocol'
import { type Finding, parseAddress, problem } from '@gatewayworker/supervisor'
import { explainPeer } from './explain-peer.ts'
import { isReachable } from './reach.ts'

/** How long a gateway may take to let us in, and then to say what it is. */
const ANSWER_TIMEOUT_MS = 2_000

/** What is known of one gateway, or why nothing is. */
export interface GatewayView {
  address: string
  /** What a gateway of ours says of itself. */
  description?: GatewayDescription & { clockOffsetMs: number }
  finding?: Finding
  /** The random name of its process; PHP's have none. */
  instance?: string
}

type Answer = Pick<GatewayView, 'description' | 'instance'> | GatewayWorkerError

/** Dials a gateway at the address that it announces, as a backend does, and asks it which one it is. */
export async function viewGateway(address: string, credentials: Credentials): Promise<GatewayView> {
  if (!/^[\d.]+:\d+$/.test(address)) return { address, finding: noAddress(address) }
  const reached = await isReachable(parseAddress(address), {
    code: 'GW-GATEWAY-UNREACHABLE',
    fix: 'Every worker and backend has to reach it: give that gateway the --lan-ip under which this host reaches it (in a container or behind NAT, with --lan-listen), and let its LAN ports (--start-port and up) through the firewall.',
    name: 'the gateway',
  })
  if ('finding' in reached) return { address, finding: reached.finding }
  const answer = await dial(address, credentials)
  if (answer instanceof Error) {
    if (answer.code === 'WRONG_GATEWAY') return { address, finding: otherGateway(address, answer.message) }
    const expected = {
      address,
      elsewhere: (what: string) => wrongPort(address, what),
      name: `The gateway ${address}`,
    }
    return { address, finding: await explainPeer(expected, credentials, answer) }
  }
  const finding = isAnother(address, answer) ? otherGateway(address, answer.description!.lanAddress) : undefined
  return { address, finding, ...answer }
}

function noAddress(address: string): Finding {
  const fix = 'It is IPv4:PORT, from --lan-ip and --start-port of that gateway; nobody can link to anything else.'
  return problem('GW-GATEWAY-WRONG-PORT', `A gateway announces "${address}", which is no address.`, fix)
}

/** That a gateway's announced address leads to another one. */
export function otherGateway(address: string, who: string): Finding {
  return problem(
    'GW-GATEWAY-OTHER',
    `At ${address}, which one gateway announces, another one answers: ${who}.`,
    'Pushes to the clients of the one go to the other. Give every gateway host its own --lan-ip; on one host, every group of gateways its own --start-port.',
  )
}

function isAnother(address: string, { description }: Pick<GatewayView, 'description'>): boolean {
  return description !== undefined && description.lanAddress !== address
}

async function dial(address: string, credentials: Credentials): Promise<Answer> {
  try {
    // PHP's know no such question.
    return await visitGateway<Answer>(
      { credentials, gateway: address, timeoutMs: ANSWER_TIMEOUT_MS },
      async (link, instance) => (instance === undefined ? {} : { description: await ask(link), instance }),
    )
  } catch (error) {
    return error as GatewayWorkerError
  }
}

async function ask(link: { ask(command: number, deadlineMs: number): Promise<unknown> }) {
  const askedAt = Date.now()
  try {
    const answer = (await link.ask(Command.DESCRIBE, ANSWER_TIMEOUT_MS)) as Map<string, unknown>
    const description = Object.fromEntries(answer) as unknown as GatewayDescription
    return { ...description, clockOffsetMs: description.time - (askedAt + Date.now()) / 2 }
  } catch {
    // An older version of ours does not know the question.
    return undefined
  }
}

function wrongPort(address: string, what: string): Finding {
  const fix =
    'Another program has the address or the port: give that gateway the --lan-ip of its own host, and a --start-port that is free; if the port is mapped (Docker, NAT), the same one inside and outside.'
  return problem('GW-GATEWAY-WRONG-PORT', `At ${address}, which a gateway announces, ${what} answers.`, fix)
}
