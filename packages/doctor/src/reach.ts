import { lookup } from 'node:dns/promises'
import { connect, type Socket } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'
import { type Address, type Finding, formatAddress, problem } from '@gatewayworker/supervisor'

/** How long a name may take to be looked up, and how long a host may take to accept a connection. */
const TIMEOUT_MS = 2_000

/** A connection that stands, or why there is none. */
export type Reached = { ip: string; socket: Socket } | { finding: Finding }

/** What the findings say: what is at the address, the code for when nobody answers there, and what to do then. */
export interface Target {
  code: Finding['code']
  fix: string
  /** Such as "the register". */
  name: string
}

/** Looks a host up and connects to it, as everything else begins; the caller ends the connection. */
export async function reach(address: Address, target: Target): Promise<Reached> {
  const where = `${target.name} ${formatAddress(address)}`
  if (!(await isKnown(address.host))) {
    const what = `The host name of ${where} cannot be found: DNS and /etc/hosts here do not know "${address.host}".`
    return {
      finding: problem('GW-DNS', what, 'Correct the name, add it to DNS or /etc/hosts, or write the IP address.'),
    }
  }
  const socket = await open(address)
  if (!(socket instanceof Error)) return { ip: socket.remoteAddress ?? '', socket }
  return { finding: problem(target.code, `${capitalize(where)} cannot be reached: ${explain(socket)}.`, target.fix) }
}

/** As `reach`, for those who only want to know whether. */
export async function isReachable(address: Address, target: Target): Promise<{ ip: string } | { finding: Finding }> {
  const reached = await reach(address, target)
  if ('socket' in reached) reached.socket.destroy()
  return reached
}

/** The first letter as a sentence begins. */
export function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

async function isKnown(host: string): Promise<boolean> {
  try {
    const answer = await Promise.race([lookup(host), after(TIMEOUT_MS, undefined, { ref: false })])
    return answer !== undefined
  } catch {
    return false
  }
}

/** By its name, so that each of its addresses is tried. */
function open(address: Address): Promise<Socket | NodeJS.ErrnoException> {
  return new Promise((resolve) => {
    const socket = connect(address)
    const timer = setTimeout(() => {
      socket.destroy()
      resolve(Object.assign(new Error(), { code: 'ETIMEDOUT' }))
    }, TIMEOUT_MS)
    socket.once('error', (error) => {
      clearTimeout(timer)
      resolve(error)
    })
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}

function explain({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'nothing listens there'
    case 'ETIMEDOUT':
      return `no answer within ${TIMEOUT_MS / 1000} s, as when a firewall drops the packets or the host is off`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no way to that network from here'
    default:
      return message
  }
}
