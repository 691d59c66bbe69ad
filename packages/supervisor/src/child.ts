// The program that every child process of an app runs: it asks its master what to be, and ends when the master says so.
import cluster from 'node:cluster'
import type { Logger } from 'pino'
import { createLog, logIsForPeople } from './create-log.ts'
import type { App, AppContext, RunningApp } from './define-app.ts'
import { describeFailure, type MessageToChild, type MessageToMaster, type StartMessage } from './messages.ts'
import { ModuleLoader } from './module-loader.ts'
import { FileWatcher } from './watch-files.ts'

/** Without a master nobody ends a stop that hangs. */
const ORPHAN_STOP_TIMEOUT_MS = 3000

let log: Logger | undefined
let running: RunningApp | undefined
let stopping = false
let watcher: FileWatcher | undefined

function onMessage(message: MessageToChild): void {
  if (message.type === 'start') void start(message)
  else void stop()
}

async function start({ index, logLevel, module, name, options }: StartMessage): Promise<void> {
  process.title = `gatewayworker: ${name} #${index}`
  log = (await createLog(logLevel)).child({ process: name, index })
  try {
    const { default: app } = (await import(module)) as { default: App }
    running = await app.start(options, createContext(log, name, index))
    // On a terminal the master's table says it.
    log[logIsForPeople ? 'debug' : 'info']({ listen: running.listen, ...running.details }, 'ready')
    tellMaster({ type: 'ready', listen: running.listen })
  } catch (error) {
    onStartFailed(error)
  }
}

function createContext(log: Logger, name: string, index: number): AppContext {
  return {
    index,
    loadModule: (file, provide) => new ModuleLoader({ onLoad: (loaded) => watcher?.add(loaded), provide }).load(file),
    log,
    name,
    restartOnChange() {
      watcher ??= new FileWatcher(onFileChange)
    },
  }
}

function onStartFailed(error: unknown): void {
  const failure = describeFailure(error)
  if (watcher === undefined) {
    tellMaster({ type: 'failed', failure }, () => process.exit(1))
    return
  }
  log?.error({}, `${failure.stack ?? failure.message}\nwaiting for a file to change`)
  tellMaster({ type: 'waiting' })
}

function onFileChange(file: string): void {
  log?.info({ file }, 'a file changed: starting again')
  tellMaster({ type: 'restart' }, () => void stop())
}

async function stop(): Promise<void> {
  if (stopping) return
  stopping = true
  try {
    await running?.stop()
    process.exit(0)
  } catch (error) {
    log?.error({ err: error }, 'the stop failed')
    process.exit(1)
  }
}

function onMasterGone(): void {
  setTimeout(() => process.exit(1), ORPHAN_STOP_TIMEOUT_MS)
  void stop()
}

function onUncaughtException(error: unknown): void {
  if (running === undefined && !stopping) {
    onStartFailed(error)
    return
  }
  log?.fatal({ err: error }, 'uncaught exception')
  process.exit(1)
}

function tellMaster(message: MessageToMaster, onSent: () => void = () => {}): void {
  if (process.connected) process.send!(message, undefined, undefined, onSent)
  else onSent()
}

process.on('uncaughtException', onUncaughtException)
// Ctrl-C reaches the whole terminal group, and SIGTERM the whole service under systemd; the master says who stops when.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {
  if (!process.connected) void stop()
})
process.on('disconnect', onMasterGone)
// node:cluster would exit at once when the master is gone, with no time to stop.
cluster.worker?.on('disconnect', () => {
  cluster.worker!.exitedAfterDisconnect = true
})
process.on('message', onMessage)
tellMaster({ type: 'hello' })
