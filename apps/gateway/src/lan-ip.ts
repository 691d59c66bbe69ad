import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { isIPv4, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type Address, formatAddress, parseAddress, UsageError } from '@gatewayworker/supervisor'

export interface LanIpOptions {
  /** Whether the LAN port is bound elsewhere, so that the address need not be this host's: containers, NAT. */
  isBoundElsewhere: boolean
  /** `--lan-ip`: an IPv4 address, a host name that has one, or nothing. */
  lanIp: string | undefined
  /** Each `HOST:PORT`, or the URL of an etcd. */
  registerAddresses: readonly string[]
}

const ETCD_PORT = 2379
const LOOPBACK = '127.0.0.1'

/**
 * The IPv4 address under which workers and backends are to reach this gateway: the one that was said, or else the one by which this host
 * reaches the register. Rejects with a UsageError if it is none of this host's, or cannot be reached from where the register is.
 */
export async function findLanIp({ isBoundElsewhere, lanIp, registerAddresses }: LanIpOptions): Promise<string> {
  const registers = registerAddresses.map(parsePlace)
  if (lanIp === undefined) return findOwnIp(registers)
  const ip = await resolveLanIp(lanIp)
  if (!isBoundElsewhere && !isOwn(ip)) throw notOwn(lanIp, ip)
  if (isLoopback(ip)) await checkRegistersAreHere(lanIp, registers)
  return ip
}

function parsePlace(registerAddress: string): Address {
  if (!registerAddress.includes('://')) return parseAddress(registerAddress)
  const { hostname, port } = new URL(registerAddress)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || ETCD_PORT }
}

async function findOwnIp(registers: readonly Address[]): Promise<string> {
  for (const register of registers) {
    const ip = await resolve(register.host)
    if (ip === undefined) {
      throw new UsageError(
        `the register ${formatAddress(register)} has no IPv4 address, so it cannot be told which address of this host others reach; say it with --lan-ip`,
      )
    }
    if (!isLoopback(ip)) return findRoute({ host: ip, port: register.port })
  }
  return LOOPBACK
}

/** The address that this host has on the way there; nothing is sent. */
async function findRoute({ host, port }: Address): Promise<string> {
  const socket = createSocket('udp4')
  try {
    const connected = once(socket, 'connect')
    socket.connect(port, host)
    await connected
    return socket.address().address
  } catch (error) {
    const { message } = error as Error
    throw new UsageError(
      `there is no way to the register ${host}:${port} (${message}); say --lan-ip if that is to be so`,
    )
  } finally {
    socket.close()
  }
}

async function resolveLanIp(lanIp: string): Promise<string> {
  if (isIPv6(lanIp)) throw new UsageError(`--lan-ip must be IPv4, since client ids are made of it, not ${lanIp}`)
  const ip = await resolve(lanIp)
  if (ip === undefined) throw new UsageError(`--lan-ip ${lanIp}: no IPv4 address is known by this name`)
  if (ip === '0.0.0.0') {
    throw new UsageError(
      '--lan-ip 0.0.0.0 is nothing that others can connect to; to listen on every address, say --lan-listen 0.0.0.0',
    )
  }
  return ip
}

/** What is only to be reached from this host is of no use to workers on another; a register there says that there are some. */
async function checkRegistersAreHere(lanIp: string, registers: readonly Address[]): Promise<void> {
  for (const register of registers) {
    const ip = await resolve(register.host)
    if (ip === undefined || isOwn(ip)) continue // the register's own problem, or a cluster on this host
    throw new UsageError(
      `--lan-ip ${lanIp} can be reached from this host only, but the register ${formatAddress(register)} is on another; leave --lan-ip out, or say the address under which the other hosts reach this one`,
    )
  }
}

async function resolve(host: string): Promise<string | undefined> {
  if (isIPv4(host)) return host
  if (host === '::1') return LOOPBACK
  try {
    return (await lookup(host, { family: 4 })).address
  } catch {
    return undefined
  }
}

function isLoopback(ip: string): boolean {
  return ip.startsWith('127.')
}

function isOwn(ip: string): boolean {
  return isLoopback(ip) || ownAddresses().includes(ip)
}

function ownAddresses(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list = []) => list)
  return addresses.filter(({ family }) => family === 'IPv4').map(({ address }) => address)
}

function notOwn(lanIp: string, ip: string): UsageError {
  const name = lanIp === ip ? ip : `${lanIp} (${ip})`
  return new UsageError(
    `--lan-ip ${name} is no address of this host, which has ${ownAddresses().join(', ')}; in a container or behind NAT, where others reach it there all the same, say --lan-listen 0.0.0.0 as well`,
  )
}
