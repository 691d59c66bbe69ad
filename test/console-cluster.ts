import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { onTestFailed, onTestFinished } from 'vitest'
import { within } from './deadline.ts'
import { temporaryFolder } from './temporary-folder.ts'

const program = fileURLToPath(new URL('../apps/gatewayworker/dist/gatewayworker.js', import.meta.url))

/** How a command ended, and what it said. */
interface Outcome {
  code: number
  errors: string
  text: string
}

/** A folder with a cluster's config file in it, where a user calls `gatewayworker`; what was started ends with the test. */
export class ConsoleCluster {
  readonly folder: ReturnType<typeof temporaryFolder>
  readonly #runDir: string

  constructor(files: Record<string, string>) {
    this.folder = temporaryFolder(files)
    this.#runDir = this.folder.path('.gatewayworker')
    // Finished tests are cleaned up after in the reverse order: what runs ends before its folder goes.
    onTestFinished(() => this.#kill())
    onTestFailed(() => console.log(this.log))
  }

  /** What the cluster in the background has logged. */
  get log(): string {
    return this.#read('gatewayworker.log')
  }

  /** Runs a command to its end, in the folder; of the environment's GW_ variables it gets none. */
  run(...args: string[]): Promise<Outcome> {
    return this.runAfter('true', ...args)
  }

  /** As `run`, after a line of shell, such as `ulimit -n 512`. */
  async runAfter(line: string, ...args: string[]): Promise<Outcome> {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GW_')))
    const child = spawn('sh', ['-c', `${line}; exec "$0" "$@"`, process.execPath, program, ...args], {
      cwd: this.folder.path('.'),
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const outcome = Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
    const [output, errors, [code]] = await within(outcome, `the end of gatewayworker ${args.join(' ')}`, 20_000)
    return { code, errors, text: output }
  }

  /** What `status --json` says of the processes of a group. */
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by what it compares
  async processes(name: string): Promise<any[]> {
    const { processes } = JSON.parse((await this.run('status', '--json')).text)
    return processes.filter((process: { name: string }) => process.name === name)
  }

  /** What `status --json`, called with these flags, says of the first process of a group; undefined when it says nothing. */
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by what it compares
  async statusOf(name: string, ...args: string[]): Promise<any> {
    const { text } = await this.run('status', '--json', ...args)
    return JSON.parse(text || '{}').processes?.find((process: { name: string }) => process.name === name)
  }

  /** The pid of the master. */
  pid(): number {
    return Number(this.#read('master.pid'))
  }

  #kill(): void {
    // Wherever the run folder is.
    const files = readdirSync(this.folder.path('.'), { encoding: 'utf8', recursive: true })
    const pidFiles = files
      .filter((name) => /(?:master|children)\.pid$/.test(name))
      .map((name) => this.folder.path(name))
    const pids = pidFiles.flatMap((file) => readFileSync(file, 'utf8').split('\n')).filter(Boolean)
    for (const pid of pids) {
      try {
        process.kill(Number(pid), 'SIGKILL')
      } catch {
        // It is gone already.
      }
    }
  }

  #read(name: string): string {
    const path = `${this.#runDir}/${name}`
    return existsSync(path) ? readFileSync(path, 'utf8') : ''
  }
}
