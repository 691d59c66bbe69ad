import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setTimeout as after } from 'node:timers/promises'
import { type Credentials, isLoopback, version } from '@gatewayworker/protocol'
import type { Announcement } from '@gatewayworker/register'
import { type Examination, type Finding, problem, warning } from '@gatewayworker/supervisor'
import { type GatewayView, otherGateway, viewGateway } from './gateway-check.ts'
import { capitalize } from './reach.ts'
import { type RegisterView, viewRegister } from './register-check.ts'

/** Bind tokens have a time to live, and logs of several hosts are read side by side. */
const CLOCK_TOLERANCE_MS = 5_000

/** Who looks at the cluster, and what of it. */
export interface ClusterLook {
  credentials: Credentials
  /** The gateway that looks for itself; without it, all gateways that registers tell are dialled. */
  own?: { instance: string; lanAddress: string }
  /** Whether the cluster ought to be whole; before a start, that there are no gateways or workers yet is no fault. */
  isComplete: boolean
  /** Each `HOST:PORT`, or the URL of an etcd. */
  registers: readonly string[]
}

/** What is so for a moment while processes start or leave. */
const PASSING: readonly Finding['code'][] = ['GW-NO-GATEWAY', 'GW-NO-WORKER', 'GW-NOT-LISTED', 'GW-REGISTERS-DIFFER']

const SECOND_LOOK_AFTER_MS = 500

/** A first look that took longer leaves no time for another. */
const QUICK_LOOK_MS = 2_000

/**
 * Proves from this process that registers and gateways can be reached, let us in, and agree; what may pass is looked at twice. Every step
 * has a deadline: all of it takes 9 s at the very most, and some milliseconds where nothing is wrong.
 */
export async function examineCluster(look: ClusterLook): Promise<Examination> {
  const startedAt = performance.now()
  const examination = await lookAt(look)
  const mayPass = examination.findings.some(({ code }) => PASSING.includes(code))
  if (!mayPass || performance.now() - startedAt > QUICK_LOOK_MS) return examination
  await after(SECOND_LOOK_AFTER_MS)
  return lookAt(look)
}

async function lookAt(look: ClusterLook): Promise<Examination> {
  const registers = await Promise.all(look.registers.map((address) => viewRegister(address, look.credentials)))
  const told = registers.flatMap(({ told }) => told ?? [])
  const listed = new Set(told.flatMap(({ addresses }) => addresses))
  const astray = findLoopbacks(
    told.flatMap(({ description }) => description?.announcements ?? []),
    look.own?.lanAddress,
  )
  // Whoever answers at a loopback address is not the one that was meant.
  const dialled = look.own === undefined ? [...listed].filter((address) => !astray.has(address)) : [look.own.lanAddress]
  const gateways = await Promise.all(dialled.map((address) => viewGateway(address, look.credentials)))
  const peers = [
    ...registers.map(({ address, told }) => ({ name: `the register ${address}`, said: told?.description })),
    ...gateways.map(({ address, description }) => ({ name: `the gateway ${address}`, said: description })),
  ]
  return {
    checks: [
      ...registers.map(({ address }) => `register ${address}`),
      ...gateways.map(({ address }) => `gateway ${address}`),
      ...peers.flatMap(({ name, said }) => (said === undefined ? [] : [`clock of ${name}`, `version of ${name}`])),
      'lists of the registers',
      'LAN addresses',
    ],
    findings: [
      ...registers.flatMap(({ finding }) => finding ?? []),
      ...compareLists(registers),
      ...findTwins(told.flatMap(({ description }) => (description === undefined ? [] : [description.announcements]))),
      ...astray.values(),
      ...gateways.flatMap(({ finding }) => finding ?? []),
      ...findMissing(look, told.length > 0, listed, gateways),
      ...peers.flatMap(({ name, said }) => (said === undefined ? [] : comparePeer(name, said))),
    ],
  }
}

/** A gateway that only some of the registers know is lost to whoever hears of the others only. */
function compareLists(registers: readonly RegisterView[]): Finding[] {
  const heard = registers.filter(({ told }) => told !== undefined)
  const all = new Set(heard.flatMap(({ told }) => told!.addresses))
  return [...all].flatMap((gateway) => {
    const without = heard.filter(({ told }) => !told!.addresses.includes(gateway)).map(({ address }) => address)
    if (without.length === 0) return []
    const fix = 'Give every gateway, worker and backend all registers: repeat --register-address.'
    return problem(
      'GW-REGISTERS-DIFFER',
      `The gateway ${gateway} is not known to the register ${without.join(', ')}, but to another.`,
      fix,
    )
  })
}

/** Registers hear each gateway on one connection; a second one is another process, whose clients have the same ids. */
function findTwins(lists: readonly Announcement[][]): Finding[] {
  const twins = new Map<string, Set<string>>()
  for (const announcements of lists) {
    for (const { address } of announcements) {
      const same = announcements.filter((other) => other.address === address)
      if (same.length > 1) twins.set(address, new Set(same.map(({ from }) => from)))
    }
  }
  return [...twins].map(([address, from]) =>
    problem(
      'GW-LAN-ADDRESS-TWICE',
      `Two gateways announce the same LAN address ${address}; they are at ${[...from].join(' and ')}.`,
      'Give every gateway host its own --lan-ip, and every group of gateways on one host its own range of ports with --start-port.',
    ),
  )
}

/** The announced addresses that lead every host to itself. As long as a gateway is on this very host, that works. */
function findLoopbacks(announcements: readonly Announcement[], own: string | undefined): Map<string, Finding> {
  const here = new Set(
    Object.values(networkInterfaces()).flatMap((addresses) => addresses!.map(({ address }) => address)),
  )
  const found = new Map<string, Finding>()
  for (const { address, from } of announcements) {
    const ip = from.replace(/^::ffff:/, '')
    const [told = ''] = address.split(':')
    if (
      isIP(told) === 0 ||
      isIP(ip) === 0 ||
      !isLoopback(told) ||
      isLoopback(ip) ||
      here.has(ip) ||
      (own !== undefined && own !== address)
    )
      continue
    const what = `The gateway at ${ip} announces ${address}, an address that leads every other host to itself.`
    const fix = `Start it with --lan-ip ${ip}, or the address under which the other hosts reach it.`
    found.set(address, problem('GW-LAN-IP-LOOPBACK', what, fix))
  }
  return found
}

function findMissing(
  { isComplete, own, registers }: ClusterLook,
  isHeard: boolean,
  listed: ReadonlySet<string>,
  gateways: readonly GatewayView[],
): Finding[] {
  if (own !== undefined) return findOwnFaults(own, isHeard, listed, gateways[0])
  if (!isComplete) return []
  const findings: Finding[] = []
  if (isHeard && listed.size === 0) {
    const known = registers.length === 1 ? 'The register knows' : 'The registers know'
    const fix = 'Start one (`start_gateway`) with the same --register-address and --secret-key as here.'
    findings.push(problem('GW-NO-GATEWAY', `${known} no gateway: nobody can be pushed to.`, fix))
  }
  return [...findings, ...gateways.flatMap(findUnserved)]
}

function findOwnFaults(
  own: { instance: string; lanAddress: string },
  isHeard: boolean,
  listed: ReadonlySet<string>,
  view: GatewayView | undefined,
): Finding[] {
  const findings: Finding[] = []
  if (isHeard && !listed.has(own.lanAddress)) {
    const what = `No register that can be heard lists this gateway, ${own.lanAddress}.`
    findings.push(problem('GW-NOT-LISTED', what, 'Its log says why it was not let in: look for "register" there.'))
  }
  if (view?.finding === undefined && view?.instance !== own.instance) {
    findings.push(
      otherGateway(
        own.lanAddress,
        view?.instance === undefined ? 'one of PHP' : 'another process with the same --lan-ip and port',
      ),
    )
  }
  return [...findings, ...(view === undefined || findings.length > 0 ? [] : findUnserved(view))]
}

function findUnserved({ address, description, finding }: GatewayView): Finding[] {
  if (finding !== undefined || description?.workers !== 0) return []
  const what = `No worker is linked to the gateway ${address}: its clients are closed with 1013 after --no-worker-timeout.`
  const fix =
    'Start workers (`start_businessworker`) with the same --register-address and --secret-key; `gatewayworker doctor` on their hosts says what keeps them away.'
  return [problem('GW-NO-WORKER', what, fix)]
}

function comparePeer(name: string, said: { clockOffsetMs: number; version: string }): Finding[] {
  const findings: Finding[] = []
  const { clockOffsetMs } = said
  if (Math.abs(clockOffsetMs) > CLOCK_TOLERANCE_MS) {
    const direction = clockOffsetMs > 0 ? 'ahead of' : 'behind'
    const what = `The clock of ${name} is ${Math.round(Math.abs(clockOffsetMs) / 1000)} s ${direction} that of this host.`
    findings.push(
      problem(
        'GW-CLOCK',
        what,
        'Bind tokens and JWTs expire too early or too late: run an NTP client (systemd-timesyncd, chrony) on both.',
      ),
    )
  }
  if (said.version !== version) {
    const what = `${capitalize(name)} has version ${said.version}, this host ${version}.`
    findings.push(
      warning('GW-VERSION', what, 'Upgrade the older one; during a rolling upgrade this is as it should be.'),
    )
  }
  return findings
}
