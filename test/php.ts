import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { GatewayClient, GatewayClientOptions } from '@gatewayworker/gateway-client'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { Cluster, type ClusterOptions } from './cluster.ts'
import type { Program } from './program.ts'

const hasPhp = spawnSync('php', ['-v']).status === 0
const eventsPath = fileURLToPath(new URL('php/Events.php', import.meta.url))
const snippetPath = fileURLToPath(new URL('php/snippet.php', import.meta.url))
/** What a PHP process may take; generous, because it only decides how long a failure takes. */
const DEADLINE_MS = 10_000

/** A suite that needs PHP; skipped where there is none, and says so. */
export function describeWithPhp(name: string, suite: () => void): void {
  const skipped = `${name} (skipped: php is not installed)`
  if (!hasPhp) console.warn(skipped)
  describe.skipIf(!hasPhp)(hasPhp ? name : skipped, suite)
}

export interface PhpClusterOptions extends ClusterOptions {
  /** How many gateways are PHP's; they come after ours. Default 0. */
  phpGateways?: number
  /** Default false: the register is ours. */
  phpRegister?: boolean
  /** How many workers are PHP's, with php/Events.php. Default 0. */
  phpWorkers?: number
}

/** A cluster in which some processes are PHP's: those in php/, which speak as GatewayWorker does. */
export class PhpCluster extends Cluster {
  readonly phpWorkers: Program[] = []
  readonly #options: PhpClusterOptions
  readonly #programs: Program[] = []

  constructor(options: PhpClusterOptions) {
    const { phpGateways = 0, phpRegister = false } = options
    // Nobody tells PHP's gateways and registers the secret unless it may.
    const env: Record<string, string> = phpGateways > 0 || phpRegister ? { GW_ALLOW_LEGACY: 'loopback' } : {}
    super({ ...options, env: { ...env, ...options.env } })
    this.#options = options
  }

  override async start(): Promise<void> {
    await super.start()
    const { phpGateways = 0, phpWorkers = 0, workers = 1 } = this.#options
    for (let count = 0; count < phpGateways; count += 1) await this.startPhpGateway()
    for (let count = 0; count < phpWorkers; count += 1) await this.startPhpWorker(`PhpWorker${count}`)
    if (workers + phpWorkers === 0) return
    await Promise.all(
      this.gateways.map((gateway) => gateway.line({ msg: 'worker linked', workers: workers + phpWorkers })),
    )
  }

  override async startRegister(): Promise<Program> {
    const { phpRegister = false, registerListen = '127.0.0.1:0' } = this.#options
    if (!phpRegister) return super.startRegister()
    this.register = this.#runPhp('register.php', ['--listen', registerListen])
    return this.register.ready()
  }

  /** Starts one more gateway, of PHP's kind; resolves when it is ready. */
  async startPhpGateway(): Promise<Program> {
    const gateway = this.#runPhp('gateway.php', ['--register', this.registerAddress])
    this.gateways.push(gateway)
    return gateway.ready()
  }

  /** Starts one more worker, of PHP's kind; resolves when it is ready, which is before any gateway has linked with it. */
  async startPhpWorker(name: string): Promise<Program> {
    const args = ['--events', eventsPath, '--name', name, '--register', this.registerAddress]
    const worker = this.#runPhp('worker.php', args)
    this.phpWorkers.push(worker)
    return worker.ready()
  }

  override newBackend(options: GatewayClientOptions = {}): GatewayClient {
    return super.newBackend({ allowLegacy: 'loopback', ...options })
  }

  /** What the code returns in a PHP process that may push to this cluster: see php/snippet.php. */
  async php(code: string, variables: Record<string, unknown> = {}): Promise<unknown> {
    const { secretKey = '' } = this.#options
    const setUp = 'Gateway::$registerAddress = $registerAddress; Gateway::$secretKey = $secretKey; '
    return runPhp(setUp + code, { registerAddress: this.registerAddress, secretKey, ...variables })
  }

  /** Ends every client, so that the next test begins with nobody there. */
  async dismissClients(): Promise<void> {
    const code =
      'foreach (Gateway::getAllClientIdList() as $id) Gateway::destoryClient($id); return Gateway::getAllClientIdCount();'
    const left = await this.php(code)
    if (left !== 0) throw new Error(`${left} clients are still there`)
  }

  /** As for any cluster; rejects also if a PHP process had something to complain about. */
  override async stop(): Promise<void> {
    await super.stop()
    const complaints = this.#programs.map(({ errors }) => errors).join('')
    if (complaints !== '') throw new Error(`PHP's complaints:\n${complaints}`)
  }

  #runPhp(script: string, args: readonly string[]): Program {
    const program = this.run(`test/php/${script}`, args)
    this.#programs.push(program)
    return program
  }
}

/** A cluster for all tests of the describe block that this is called in; each begins with no client there. */
export function usePhpCluster(options: PhpClusterOptions): PhpCluster {
  const cluster = new PhpCluster(options)
  beforeAll(() => cluster.start())
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') cluster.printLogs()
    await cluster.dismissClients()
  })
  afterAll(() => cluster.stop())
  return cluster
}

/** What the code returns in a PHP process of its own: see php/snippet.php. Rejects if PHP has anything to complain about. */
async function runPhp(code: string, variables: Record<string, unknown>): Promise<unknown> {
  const args = [snippetPath, code, JSON.stringify(variables)]
  const { stderr, stdout } = await promisify(execFile)('php', args, { timeout: DEADLINE_MS })
  if (stderr !== '') throw new Error(`PHP's complaints:\n${stderr}`)
  return JSON.parse(stdout)
}
