import { existsSync } from 'node:fs'
import type { Logger } from 'pino'
import { changedKeys, type DigestedConfig } from './config-digest.ts'
import { claimRunFolder } from './control/claim.ts'
import { type ControlHandlers, ControlServer } from './control/control-server.ts'
import type { RunFolder } from './control/run-folder.ts'
import { examineProcesses } from './doctor/examine-processes.ts'
import type { LogFile } from './log-file.ts'
import type { Master, StopManner } from './master.ts'
import type { Reloaded, Report } from './reload.ts'
import { tellServiceManager } from './service-manager.ts'
import { findConnections } from './status/find-connections.ts'
import { findDeadLetters } from './status/find-dead-letters.ts'
import { findProblems, inWords } from './status/find-problems.ts'
import { ProcessMonitor } from './status/process-monitor.ts'
import { exitProcess } from './terminal.ts'

/** How often it is looked whether the run folder is still there. */
const RESTORE_EVERY_MS = 1000

/** What a master can be told while it runs, by signals and over its control socket, and how this process ends. */
export class RunningCluster {
  readonly #config: DigestedConfig | undefined
  readonly #log: Logger
  readonly #logFile: LogFile | undefined
  readonly #master: Master
  #claimed: RunFolder | undefined
  /** Whether it is logged that there can be no run folder. */
  #isLost = false

  /** `config`: the config file of the start. */
  constructor(master: Master, log: Logger, logFile: LogFile | undefined, config: DigestedConfig | undefined) {
    this.#config = config
    this.#log = log
    this.#logFile = logFile
    this.#master = master
  }

  /** Listens for commands there; a ClusterError when another master does. */
  async listen(runFolder: RunFolder): Promise<void> {
    const monitor = new ProcessMonitor(this.#master, this.#logFile?.path)
    const handlers: ControlHandlers = {
      connections: (query) => findConnections(this.#master.groups, query),
      deadLetters: (query) => findDeadLetters(this.#master.groups, query),
      examine: () => examineProcesses(this.#master.groups),
      ready: async () => inWords(await findProblems(this.#master.groups)),
      reload: async ({ config }, report) => ({ ...(await this.reload(report)), changed: this.#changedKeys(config) }),
      status: () => monitor.status(),
      stop: async ({ patient }, report) => {
        await this.stop(patient ? 'patient' : 'graceful', report)
        return null
      },
    }
    const createServer = (): ControlServer => {
      return new ControlServer({ configFile: this.#config?.path, runFolder: runFolder.path }, handlers, (command) => {
        if (command === 'stop') void this.exit(0)
      })
    }
    await claimRunFolder(runFolder, createServer(), this.#log)
    this.#claimed = runFolder
    setInterval(() => void this.#restoreRunFolder(createServer), RESTORE_EVERY_MS).unref()
  }

  /** A run folder that was removed or moved is made again, or another one where that cannot be. */
  async #restoreRunFolder(createServer: () => ControlServer): Promise<void> {
    const former = this.#claimed!
    if (existsSync(former.socket)) return
    const runFolder = former.canBeRestored ? former : former.refuge
    try {
      await claimRunFolder(runFolder, createServer(), this.#log)
      this.#claimed = runFolder
      this.#log.warn({ runFolder: runFolder.path }, `the run folder ${former.path} was removed: there is a new one`)
      // The log was in it.
      if (this.#logFile !== undefined && !existsSync(this.#logFile.path)) this.reopenLog(runFolder.logFile)
    } catch (error) {
      if (!this.#isLost) this.#log.error({ err: error }, 'the run folder was removed: no command reaches this cluster')
      this.#isLost = true
    }
  }

  /** See Master.reload; what comes of it is also logged. */
  async reload(report: Report): Promise<Reloaded> {
    this.#log.info({}, 'reloading')
    try {
      const reloaded = await this.#master.reload(report)
      this.#log.info({ replaced: reloaded.replaced }, 'reloaded')
      return reloaded
    } catch (error) {
      const { message, stack } = error as Error
      this.#log.error({ stack }, `the reload is aborted, what was not replaced goes on: ${message}`)
      throw error
    }
  }

  #changedKeys(now: DigestedConfig | undefined): string[] {
    if (now === undefined || now.path !== this.#config?.path) return []
    return changedKeys(this.#config.digest, now.digest)
  }

  /** Goes on in a new log file, if there is one. */
  reopenLog(path?: string): void {
    try {
      this.#logFile?.reopen(path)
    } catch (error) {
      this.#log.error({ err: error }, 'the log file cannot be opened again')
    }
  }

  /** Stops all processes; `exit` has to follow. */
  async stop(manner: StopManner, report?: Report): Promise<void> {
    this.#log.info({ manner }, 'stopping')
    // One that takes all the time it needs is not told: the unit's TimeoutStopSec would count from now on.
    if (manner !== 'patient') tellServiceManager('STOPPING=1', this.#log)
    await this.#master.stop(manner, report)
  }

  /** Ends this process, when all others have ended. */
  async exit(code: number): Promise<never> {
    if (code === 0) this.#log.info({}, 'stopped')
    await this.#logFile?.flush()
    this.#claimed?.clear()
    exitProcess(code)
  }

  /** Ends all processes and this one at once. */
  kill(code: number): never {
    this.#master.kill()
    this.#claimed?.clear()
    exitProcess(code)
  }
}
