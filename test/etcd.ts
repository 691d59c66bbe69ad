import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe } from 'vitest'
import { freePort } from './free-port.ts'

const hasEtcd = spawnSync('etcd', ['--version']).status === 0

/** A suite that needs etcd; skipped where there is none, and says so. */
export function describeWithEtcd(name: string, suite: () => void): void {
  const skipped = `${name} (skipped: etcd is not installed)`
  if (!hasEtcd) console.warn(skipped)
  describe.skipIf(!hasEtcd)(hasEtcd ? name : skipped, suite)
}

/** An etcd of one member, that may be stopped and started again with what it knew. */
export class Etcd {
  readonly folder: string
  readonly port: number
  readonly #scheme: 'http' | 'https'
  #process: ChildProcess | undefined

  private constructor(folder: string, port: number, scheme: 'http' | 'https') {
    this.folder = folder
    this.port = port
    this.#scheme = scheme
  }

  /** Resolves when it serves. With https it makes a certificate of its own: `certificate`. */
  static async start(scheme: 'http' | 'https' = 'http'): Promise<Etcd> {
    const etcd = new Etcd(await mkdtemp(join(tmpdir(), 'gatewayworker-etcd-')), await freePort(), scheme)
    await etcd.start()
    return etcd
  }

  get certificate(): string {
    return join(this.folder, 'fixtures/client/cert.pem')
  }

  /** The address of a cluster on it. */
  address(cluster = ''): string {
    return `${this.#scheme.replace('http', 'etcd')}://127.0.0.1:${this.port}/${cluster}`
  }

  /** Resolves when it serves again. */
  async start(): Promise<void> {
    const client = `${this.#scheme}://127.0.0.1:${this.port}`
    const peer = 'http://127.0.0.1:0'
    const options = {
      'advertise-client-urls': client,
      'data-dir': this.folder,
      'election-timeout': '200', // ms; alone it need not wait for others
      'heartbeat-interval': '20',
      'initial-advertise-peer-urls': peer,
      'initial-cluster': `default=${peer}`,
      'listen-client-urls': client,
      'listen-peer-urls': peer,
      logger: 'zap',
      ...(this.#scheme === 'https' ? { 'auto-tls': 'true' } : {}),
    }
    const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
    const etcd = spawn('etcd', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process = etcd
    for await (const line of createInterface({ input: etcd.stderr })) if (line.includes('serving client traffic')) break
    etcd.stderr.resume()
    if (etcd.exitCode !== null) throw new Error(`etcd ended with ${etcd.exitCode}`)
  }

  /** Calls a method of its own, such as `auth/enable`. */
  async call(method: string, body: object): Promise<unknown> {
    const url = `${this.#scheme}://127.0.0.1:${this.port}/v3/${method}`
    const response = await fetch(url, { body: JSON.stringify(body), method: 'POST' })
    if (!response.ok) throw new Error(await response.text())
    return response.json()
  }

  /** Stops it; what it knows stays. */
  async stop(): Promise<void> {
    const etcd = this.#process
    this.#process = undefined
    if (etcd === undefined) return
    etcd.kill('SIGKILL')
    await once(etcd, 'close')
  }

  signal(signal: 'SIGCONT' | 'SIGSTOP'): void {
    this.#process?.kill(signal)
  }

  /** Stops it, and forgets. */
  async remove(): Promise<void> {
    await this.stop()
    await rm(this.folder, { recursive: true })
  }
}
