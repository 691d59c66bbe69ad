import { fileURLToPath } from 'node:url'
import { GatewayClient, type GatewayClientOptions } from '@gatewayworker/gateway-client'
import { afterAll, afterEach, beforeAll, onTestFailed, onTestFinished } from 'vitest'
import type { ClientOptions } from 'ws'
import type { Host } from './network.ts'
import { Program } from './program.ts'
import { TestClient } from './test-client.ts'

export interface ClusterOptions {
  /** The port of the gateway's clients. Default any free one; clients that are to find a gateway again need one that stays. */
  clientPort?: number
  /** The workers' Events: a file in fixtures/, or an absolute path. Default remote-control.ts. */
  events?: string
  /** More options of all programs, as variables of their environment. */
  env?: Readonly<Record<string, string>>
  /** More options of the gateways. */
  gatewayArgs?: readonly string[]
  /** How many gateways, each a program with a client port of its own. Default 1. */
  gateways?: number
  /** What is there in place of a register; none is started then. */
  registerAddress?: string
  /** Default 127.0.0.1:0; a register that is to come back needs a port that stays. */
  registerListen?: string
  secretKey?: string
  /** More options of the workers. */
  workerArgs?: readonly string[]
  /** How many processes the group of workers has; 0 for no group. Default 1. */
  workers?: number
}

/** The programs that a user starts. */
export const scripts = {
  businessworker: 'apps/businessworker/dist/start-businessworker.js',
  gateway: 'apps/gateway/dist/start-gateway.js',
  register: 'apps/register/dist/start-register.js',
} as const

/** The absolute path of a file in fixtures/. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
}

/** A cluster of real processes on free ports, and the clients and backends that tests connect to it. */
export class Cluster {
  readonly gateways: Program[] = []
  readonly options: ClusterOptions
  register!: Program
  workers!: Program
  readonly #backends = new Set<GatewayClient>()
  readonly #clients = new Set<TestClient>()
  readonly #programs: Program[] = []
  #backend: GatewayClient | undefined

  constructor(options: ClusterOptions = {}) {
    this.options = options
  }

  get registerAddress(): string {
    return this.options.registerAddress ?? (this.register.child().listen as string)
  }

  /** Starts everything; resolves when every gateway is linked with every worker. */
  async start(): Promise<void> {
    const { gateways = 1, registerAddress, workers = 1 } = this.options
    if (registerAddress === undefined) await this.startRegister()
    const started = Array.from({ length: gateways }, () => this.startGateway())
    if (workers > 0) started.push(this.startWorkers())
    await Promise.all(started)
    if (workers === 0) return
    await Promise.all(this.gateways.map((gateway) => gateway.line({ msg: 'worker linked', workers })))
  }

  /** Starts the register, which may have been stopped; resolves when it is ready. */
  async startRegister(): Promise<Program> {
    const { registerListen = '127.0.0.1:0' } = this.options
    this.register = this.run(scripts.register, ['--listen', registerListen])
    return this.register.ready()
  }

  /** Starts one more gateway; resolves when it is ready. */
  async startGateway(args: readonly string[] = []): Promise<Program> {
    const { clientPort = 0, gatewayArgs = [] } = this.options
    const listen = ['--listen', `websocket://127.0.0.1:${clientPort}`, '--start-port', '0']
    const gateway = this.run(scripts.gateway, [...listen, ...this.#registerArgs, ...gatewayArgs, ...args])
    this.gateways.push(gateway)
    return gateway.ready()
  }

  /** Starts the group of workers; resolves when it is ready. */
  async startWorkers(args: readonly string[] = []): Promise<Program> {
    const { events = 'remote-control.ts', workerArgs = [], workers = 1 } = this.options
    const own = ['--events', events.startsWith('/') ? events : fixture(events), '--count', String(Math.max(workers, 1))]
    this.workers = this.run(scripts.businessworker, [...own, ...this.#registerArgs, ...workerArgs, ...args])
    return this.workers.ready()
  }

  /** Starts a program that belongs to the cluster, here or on a host of a network; it is stopped before what was started earlier. */
  run(script: string, args: readonly string[], host?: Host): Program {
    const { secretKey } = this.options
    const env = { ...this.options.env, ...(secretKey === undefined ? {} : { GW_SECRET_KEY: secretKey }) }
    const program = new Program(script, args, env, host?.prefix)
    this.#programs.push(program)
    return program
  }

  /** Where clients of a gateway connect. */
  url(gateway = 0): string {
    return String(this.gateways[gateway]!.child().listen).replace('websocket:', 'ws:')
  }

  /** A client of a gateway, connected; nothing that a worker said to it has been taken out of its inbox. */
  async open(gateway = 0, path = '', options?: ClientOptions): Promise<TestClient> {
    const client = await TestClient.open(this.url(gateway) + path, options)
    this.#clients.add(client)
    return client
  }

  /** A client of a gateway that the fixture has greeted, so that it knows its id. */
  async connect(gateway = 0): Promise<TestClient> {
    const client = await this.open(gateway)
    const { clientId, workerPid } = await client.nextJson()
    return Object.assign(client, { clientId, workerPid })
  }

  /** A backend that pushes to this cluster, from the process of the test; the same at each call. */
  backend(): GatewayClient {
    this.#backend ??= this.newBackend()
    return this.#backend
  }

  /** A backend that has not heard of this cluster yet. */
  newBackend(options: GatewayClientOptions = {}): GatewayClient {
    const { secretKey } = this.options
    const backend = new GatewayClient({ registerAddress: this.registerAddress, secretKey, ...options })
    this.#backends.add(backend)
    return backend
  }

  /** Stops everything in the order of a good stop; rejects if a program ends in any other way than it should. */
  async stop(): Promise<void> {
    await Promise.all(Array.from(this.#backends, (backend) => backend.close()))
    for (const client of this.#clients) client.socket.terminate()
    const exits: string[] = []
    try {
      for (const program of this.#programs.toReversed()) {
        const { code, signal } = await program.stop()
        if (code !== 0 && !program.wasKilled)
          exits.push(`${program.name} ended with ${signal ?? code}:\n${program.output}`)
      }
    } finally {
      await Promise.all(this.#programs.map((program) => program.killAll()))
    }
    if (exits.length > 0) throw new Error(exits.join('\n'))
  }

  /** The end of all logs. */
  printLogs(): void {
    console.log(this.#programs.map((program) => program.output).join('\n'))
  }

  get #registerArgs(): string[] {
    return ['--register-address', this.registerAddress]
  }
}

/** A cluster for all tests of the file or describe block that this is called in. */
export function useCluster(options?: ClusterOptions): Cluster {
  const cluster = new Cluster(options)
  beforeAll(() => cluster.start())
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') cluster.printLogs()
  })
  afterAll(() => cluster.stop())
  return cluster
}

/** A cluster for the test that calls this. */
export async function startCluster(options?: ClusterOptions): Promise<Cluster> {
  const cluster = new Cluster(options)
  onTestFailed(() => cluster.printLogs())
  onTestFinished(() => cluster.stop())
  await cluster.start()
  return cluster
}
