import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { GatewayClient } from '@gatewayworker/gateway-client'
import { Cluster, fixture, scripts } from './cluster.ts'
import { within } from './deadline.ts'
import { type Host, Network } from './network.ts'
import type { Program } from './program.ts'

const HOSTS = ['register', 'gateway0', 'gateway1', 'gateway2', 'worker0', 'worker1', 'backend'] as const
type HostName = (typeof HOSTS)[number]

/** After so long without a word a peer counts as cut off; long enough for processes that wait for a busy machine. */
const LINK_TIMEOUT_MS = 2_400
const LINK_TIMEOUT = ['--link-timeout', String(LINK_TIMEOUT_MS / 1_000)]
const GATEWAY_LOST_TIMEOUT = ['--gateway-lost-timeout', '1']
const ISOLATION_TIMEOUT = ['--isolation-timeout', '0.5']

interface Answer {
  error?: object
  id: number
  result?: unknown
}

/** A cluster on hosts of their own: a register, two gateways, two workers of one process, and a backend. Clients are on the host of the tests. */
export class HostCluster extends Cluster {
  network!: Network
  readonly workerPrograms: Program[] = []
  #remoteBackend: ChildProcess | undefined
  #questions = 0

  constructor() {
    super({ events: 'hosts.ts', secretKey: 'the secret of this cluster' })
  }

  override get registerAddress(): string {
    return `${this.host('register').address}:1236`
  }

  host(name: HostName): Host {
    return this.network.host(name)
  }

  override async start(): Promise<void> {
    this.network = await Network.open(HOSTS)
    await this.startRegister()
    // One after the other, since each has its time to be ready, however busy the machine is.
    for (const index of [0, 1]) await this.startGatewayOn(index)
    for (const index of [0, 1]) await this.#startWorkerOn(index)
    await Promise.all(this.gateways.map((gateway) => gateway.line({ msg: 'worker linked', workers: 2 })))
    this.#remoteBackend = this.#forkBackend()
  }

  override async startRegister(): Promise<Program> {
    const host = this.host('register')
    this.register = this.run(scripts.register, ['--listen', `${host.address}:1236`, ...LINK_TIMEOUT], host)
    return this.register.ready()
  }

  /** The push API as the backend on its own host calls it. */
  remoteBackend(): GatewayClient {
    return new Proxy({} as GatewayClient, {
      get: (_target, method) =>
        method === 'then' ? undefined : (...args: unknown[]) => this.#ask(String(method), args),
    })
  }

  override async stop(): Promise<void> {
    this.network?.heal()
    try {
      if (this.#remoteBackend?.connected) {
        this.#remoteBackend.disconnect()
        await within(once(this.#remoteBackend, 'exit'), 'the end of the backend')
      }
      await super.stop()
    } finally {
      await this.network?.close()
    }
  }

  /** Starts the gateway on a gateway host; resolves when it is ready. */
  startGatewayOn(index: number, more: readonly string[] = []): Promise<Program> {
    const host = this.host(`gateway${index}` as HostName)
    const args = [
      '--listen',
      `websocket://${host.address}:7272`,
      '--name',
      `Gateway${index}`,
      ...ISOLATION_TIMEOUT,
      ...LINK_TIMEOUT,
    ]
    const gateway = this.run(scripts.gateway, [...args, '--register-address', this.registerAddress, ...more], host)
    this.gateways[index] = gateway
    return gateway.ready()
  }

  #startWorkerOn(index: number): Promise<Program> {
    const args = ['--events', fixture('hosts.ts'), '--name', `Worker${index}`, ...GATEWAY_LOST_TIMEOUT, ...LINK_TIMEOUT]
    const worker = this.run(
      scripts.businessworker,
      [...args, '--register-address', this.registerAddress],
      this.host(`worker${index}` as HostName),
    )
    this.workerPrograms[index] = worker
    return worker.ready()
  }

  #forkBackend(): ChildProcess {
    const { registerAddress } = this
    const { secretKey } = this.options
    const options = { deadlineMs: 1_000, linkTimeoutMs: LINK_TIMEOUT_MS, registerAddress, secretKey }
    const [execPath = '', ...rest] = this.host('backend').prefix
    const execArgv = [...rest, process.execPath]
    return fork(fixture('remote-backend.mjs'), [JSON.stringify(options)], {
      execArgv,
      execPath,
      serialization: 'advanced',
    })
  }

  async #ask(method: string, args: unknown[]): Promise<unknown> {
    const backend = this.#remoteBackend!
    this.#questions += 1
    const id = this.#questions
    const answered = new Promise<Answer>((resolve) => {
      const onMessage = (answer: Answer) => {
        if (answer.id !== id) return
        backend.off('message', onMessage)
        resolve(answer)
      }
      backend.on('message', onMessage)
    })
    backend.send({ id, method, args })
    const { error, result } = await within(answered, `an answer of the backend to ${method}`)
    if (error !== undefined) throw Object.assign(new Error(), error)
    return result
  }
}
