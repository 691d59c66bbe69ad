import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { within } from './deadline.ts'
import { removeLeftovers, removeNamespace } from './namespaces.ts'

/** A host in a network: for the programs in it, a machine with an address of its own. */
export interface Host {
  readonly address: string
  /** The network namespace; the host that the tests run on has none of its own. */
  readonly namespace: string | undefined
  /** Comes before the command line of a program that is to run there. */
  readonly prefix: readonly string[]
}

/** What happens to every packet between two hosts. */
export interface Impairment {
  /** How much later it arrives, one way. */
  delayMs?: number
  /** Every so-manieth is lost: 20 loses 5 %, evenly, so that no test depends on luck. */
  dropEvery?: number
}

interface Plug {
  /** The process that carries packets between the host's TUN device and `socket`. */
  readonly cable: ChildProcess
  /** Where that process sends from. */
  cablePort: number
  readonly host: Host
  readonly socket: Socket
}

/** RFC 2544's range for tests of networks, which none in use has. A network takes one of its 512 blocks of 256. */
const BLOCKS = 512
/** What the addresses of containers begin with. */
const CONTAINERS = '172.31'
/** An address that no host has: packets to it only show that they come out of a host. */
const NOBODY = 254
const SOURCE_AT = 12
const DESTINATION_AT = 16
const LOOPBACK = '127.0.0.1'

/**
 * Hosts on one machine, between which packets are delayed, lost, or find no way, as a test says.
 *
 * ```
 * program ─ namespace's kernel ─ TUN device ─ socat ─ UDP ─▶ this class ─ UDP ─▶ socat ─ TUN device ─ namespace's kernel ─ program
 * ```
 * Packets go through this class, and not over a bridge with `tc netem`, because kernels of small virtual machines have no netem. What a cut drops
 * is dropped without a word: no FIN, RST or ICMP, as when the power of a switch fails.
 *
 * Invariants: packets between two hosts arrive in the order in which they left, or not at all; all that was made is gone after `close`, and
 * after a crash when the next network is opened.
 */
export class Network {
  /** The host that the tests themselves run on, and their clients. */
  readonly outside: Host
  readonly #block = freeBlock()
  readonly #cuts = new Set<string>()
  readonly #hosts = new Map<string, Host>()
  #impairment: Impairment = {}
  #packets = 0
  readonly #plugs = new Map<string, Plug>()

  private constructor() {
    this.outside = { address: `${this.#block}.1`, namespace: undefined, prefix: [] }
  }

  /** Makes hosts with these names, which reach each other and `outside`. Once a process at a time. */
  static async open(names: readonly string[]): Promise<Network> {
    await removeLeftovers()
    const network = new Network()
    try {
      await network.#plugIn(network.outside)
      await Promise.all(names.map((name, index) => network.#add(name, `${network.#block}.${index + 2}`)))
    } catch (error) {
      await network.close()
      throw error
    }
    return network
  }

  /**
   * Puts a namespace behind a host, as containers are: what it connects to sees the host's address, and these TCP ports of the host are its own.
   * Its address is known to that host only.
   */
  async addContainer(name: string, behind: Host, publishedPorts: readonly number[] = []): Promise<Host> {
    const namespace = namespaceName(name)
    const subnet = `${CONTAINERS}.${this.#hosts.size}`
    const container = { address: `${subnet}.2`, namespace, prefix: prefixOf(namespace) }
    this.#hosts.set(name, container)
    await shell(`
      inside="ip -n ${namespace}"; outside="ip -n ${behind.namespace}"
      ip netns add ${namespace}
      $outside link add ${name} type veth peer name eth0 netns ${namespace}
      $outside addr add ${subnet}.1/24 dev ${name}; $outside link set ${name} up
      $inside addr add ${container.address}/24 dev eth0; $inside link set eth0 up; $inside link set lo up
      $inside route add default via ${subnet}.1
      ${behind.prefix.join(' ')} bash -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
      ${behind.prefix.join(' ')} nft '
        add table ip nat
        add chain ip nat in { type nat hook prerouting priority -100; }
        add chain ip nat out { type nat hook postrouting priority 100; }
        add rule ip nat out ip saddr ${subnet}.0/24 masquerade
        ${publishedPorts.map((port) => `add rule ip nat in tcp dport ${port} dnat to ${container.address}`).join('\n')}'`)
    return container
  }

  host(name: string): Host {
    const host = this.#hosts.get(name)
    if (host === undefined) throw new Error(`no host is named ${name}`)
    return host
  }

  /** From now on nothing passes between a host and the others, or one other. */
  cut(host: Host, from: Host | 'everyone' = 'everyone'): void {
    for (const { host: other } of this.#plugs.values()) {
      if (from !== 'everyone' && from !== other) continue
      this.#cuts.add(way(host.address, other.address)).add(way(other.address, host.address))
    }
  }

  /** From now on all packets fare so. */
  impair(impairment: Impairment): void {
    this.#impairment = impairment
  }

  /** From now on all packets arrive, and at once. */
  heal(): void {
    this.#cuts.clear()
    this.#impairment = {}
  }

  /** Removes the hosts, and ends what still runs there. */
  async close(): Promise<void> {
    for (const { cable, socket } of this.#plugs.values()) {
      cable.kill('SIGKILL') // its device goes with it
      socket.close()
    }
    await Promise.all([...this.#hosts.values()].map(({ namespace }) => removeNamespace(namespace!)))
  }

  async #add(name: string, address: string): Promise<void> {
    const namespace = namespaceName(name)
    const host = { address, namespace, prefix: prefixOf(namespace) }
    this.#hosts.set(name, host)
    await shell(`ip netns add ${namespace}; ip -n ${namespace} link set lo up`)
    await this.#plugIn(host)
  }

  async #plugIn(host: Host): Promise<void> {
    const { address, namespace, prefix } = host
    const device = `gw${process.pid}h${address.split('.').at(-1)}`
    const socket = createSocket('udp4', (packet, from) => this.#onPacket(packet, from, host))
    await once(socket.bind({ address: LOOPBACK }), 'listening')
    const tun = `TUN,tun-name=${device},iff-no-pi,tun-type=tun`
    // It ends with the process that started it, however that ends.
    const command = ['--pdeathsig', 'KILL', 'socat', '-d', '-d', tun, `UDP4:${LOOPBACK}:${socket.address().port}`]
    const cable = spawn('setpriv', command, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#plugs.set(address, { cable, cablePort: 0, host, socket })
    await untilSaid(cable, 'starting data transfer loop')

    const ip = namespace === undefined ? 'ip' : `ip -n ${namespace}`
    const move = namespace === undefined ? '' : `ip link set ${device} netns ${namespace}; `
    const firstPacket = within(once(socket, 'message'), `a packet of ${namespace ?? 'the outside host'}`)
    await shell(`${move}${ip} addr add ${address}/24 dev ${device}; ${ip} link set ${device} up`)
    await shell(`${prefix.join(' ')} bash -c 'echo > /dev/udp/${this.#block}.${NOBODY}/9'`)
    await firstPacket
  }

  #onPacket(packet: Buffer, from: RemoteInfo, host: Host): void {
    this.#plugs.get(host.address)!.cablePort = from.port
    const isIPv4 = packet.readUInt8(0) >> 4 === 4
    const to = isIPv4 ? this.#plugs.get(addressAt(packet, DESTINATION_AT)) : undefined
    if (to === undefined || this.#cuts.has(way(addressAt(packet, SOURCE_AT), to.host.address))) return
    const { delayMs = 0, dropEvery = Number.POSITIVE_INFINITY } = this.#impairment
    this.#packets += 1
    if (this.#packets % dropEvery === 0) return
    // Timers of the same length fire in the order in which they were set.
    if (delayMs > 0) setTimeout(deliver, delayMs, packet, to)
    else deliver(packet, to)
  }
}

function deliver(packet: Buffer, { cable, cablePort, socket }: Plug): void {
  if (!cable.killed) socket.send(packet, cablePort, LOOPBACK)
}

function namespaceName(name: string): string {
  return `gwtest-${process.pid}-${name}`
}

function prefixOf(namespace: string): string[] {
  return ['ip', 'netns', 'exec', namespace]
}

function way(from: string, to: string): string {
  return `${from} ${to}`
}

function addressAt(packet: Buffer, at: number): string {
  return packet.subarray(at, at + 4).join('.')
}

/** The first three numbers of addresses that this machine does not use: networks of several test runs stand beside each other. */
function freeBlock(): string {
  const used = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address))
  for (let number = process.pid; number < process.pid + BLOCKS; number += 1) {
    const block = `198.${18 + (Math.floor(number / 256) % 2)}.${number % 256}`
    if (!used.includes(`${block}.1`)) return block
  }
  throw new Error('no addresses are free')
}

async function shell(script: string): Promise<void> {
  await promisify(execFile)('bash', ['-euc', script])
}

/** Resolves when a process has said something to its stderr; rejects with all that it said if it ends first. */
async function untilSaid(child: ChildProcess, text: string): Promise<void> {
  const said: string[] = []
  const heard = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    createInterface(child.stderr!)
      .on('line', (line) => {
        said.push(line)
        if (line.includes(text)) resolve()
      })
      .once('close', () => reject(new Error(`${child.spawnfile} ended:\n${said.join('\n')}`)))
  })
  await within(heard, `"${text}" of ${child.spawnfile}`)
}
