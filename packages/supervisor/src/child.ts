// The program that every child process of an app runs: it asks its master what to be, and ends when the master says so.
import cluster from 'node:cluster'
import type { Logger } from 'pino'
import { parseAddress } from './address.ts'
import { createLog, logIsForPeople } from './create-log.ts'
import type { App, AppContext, ConnectionsQuery, DeadLettersQuery, RunningApp } from './define-app.ts'
import { joinExaminations } from './doctor/examination.ts'
import { examineProcess } from './doctor/examine-process.ts'
import { startsAmong } from './doctor/listening.ts'
import { LoopLag } from './loop-lag.ts'
import {
  type AskMessage,
  describeFailure,
  type ExamineMessage,
  type MessageToChild,
  type MessageToMaster,
  type StartMessage,
} from './messages.ts'
import { ModuleLoader } from './module-loader.ts'
import { reportDropped, standardOutputs } from './standard-output.ts'
import { exitProcess } from './terminal.ts'
import { FileWatcher } from './watch-files.ts'

/** How long a stop may take that the master did not ask for: it will not end one that hangs. */
const OWN_STOP_TIMEOUT_MS = 3000

let begin: (() => void) | undefined
let log: Logger | undefined
/** From the start on, which is one long delay of no interest. */
let loopLag: LoopLag | undefined
let running: RunningApp | undefined
let stopping = false
let watcher: FileWatcher | undefined

function onMessage(message: MessageToChild): void {
  switch (message.type) {
    case 'start':
      void start(message)
      break
    case 'examine':
      void examine(message)
      break
    case 'ask':
      void answer(message)
      break
    case 'begin':
      begin?.()
      break
    case 'stop':
      void stop(message.timeoutMs ?? Number.POSITIVE_INFINITY)
      break
  }
}

async function start({ index, isSuccessor, logLevel, module, name, options }: StartMessage): Promise<void> {
  process.title = `gatewayworker: ${name} #${index}`
  log = (await createLog(logLevel)).child({ process: name, index })
  for (const output of Object.values(standardOutputs())) reportDropped(output, log)
  try {
    const { default: app } = (await import(module)) as { default: App }
    running = await app.start(options, createContext(log, name, index, isSuccessor))
    loopLag = new LoopLag()
    // On a terminal the master's table says it.
    log[logIsForPeople ? 'debug' : 'info']({ listen: running.listen, ...running.details }, 'ready')
    const { connections, listen, problems, warnings = [] } = running
    const [hasClients, hasLinks] = [connections !== undefined, problems !== undefined]
    tellMaster({ type: 'ready', hasClients, hasLinks, listen, warnings })
  } catch (error) {
    onStartFailed(error)
  }
}

/** Without an app that runs: what it loads may do as it likes, and ends with this process. */
async function examine({ addresses, module, name, options }: ExamineMessage): Promise<void> {
  try {
    const { default: app } = (await import(module)) as { default: App }
    const examination = await app.examine!(options, {
      loadModule: (file, provide) => new ModuleLoader({ provide }).load(file),
      name,
      startsHere: (address) => !address.includes('://') && startsAmong(parseAddress(address), addresses),
    })
    tellMaster({ type: 'examined', examination }, () => exitProcess(0))
  } catch (error) {
    onStartFailed(error)
  }
}

function createContext(log: Logger, name: string, index: number, isSuccessor: boolean): AppContext {
  return {
    index,
    loadModule: (file, provide) => new ModuleLoader({ onLoad: (loaded) => watcher?.add(loaded), provide }).load(file),
    log,
    name,
    restartOnChange() {
      watcher ??= new FileWatcher(onFileChange, onPoll)
    },
    whenPlaceIsFree: () => (isSuccessor ? whenPlaceIsFree() : Promise.resolve()),
  }
}

function whenPlaceIsFree(): Promise<void> {
  return new Promise((resolve) => {
    begin = resolve
    tellMaster({ type: 'loaded' })
  })
}

function onStartFailed(error: unknown): void {
  const failure = describeFailure(error)
  if (watcher === undefined) {
    tellMaster({ type: 'failed', failure }, () => exitProcess(1))
    return
  }
  log?.error({}, `${failure.stack ?? failure.message}\nwaiting for a file to change`)
  tellMaster({ type: 'waiting' })
}

function onFileChange(file: string): void {
  log?.info({ file }, 'a file changed: starting again')
  tellMaster({ type: 'restart' }, () => void stop(OWN_STOP_TIMEOUT_MS))
}

/** Editors and build tools use up what the system has to tell of changes. */
function onPoll({ code, message }: NodeJS.ErrnoException): void {
  const setting = code === 'EMFILE' ? 'fs.inotify.max_user_instances' : 'fs.inotify.max_user_watches'
  log?.warn({}, `--watch looks at every file once a second, because of ${message}; \`sysctl ${setting}\` is the limit`)
}

async function answer({ id, query, question }: AskMessage): Promise<void> {
  try {
    tellMaster({ type: 'answer', answer: await find(question, query), id })
  } catch (error) {
    log?.error({ err: error, question }, 'the question could not be answered')
    tellMaster({ type: 'answer', id })
  }
}

async function find(question: AskMessage['question'], query: AskMessage['query']): Promise<unknown> {
  switch (question) {
    case 'connections':
      return running?.connections?.(query as ConnectionsQuery)
    case 'deadLetters':
      return running?.deadLetters?.(query as DeadLettersQuery)
    case 'examine':
      return examineRunning()
    case 'handOver':
      await running?.handOver?.(query as number)
      return true
    case 'problems':
      return running?.problems?.() ?? []
    case 'stats':
      return { ...running?.stats?.(), eventLoopLagP99Ms: loopLag?.p99Ms() ?? 0 }
    case 'takeBack':
      await running?.takeBack?.()
      return true
  }
}

async function examineRunning(): Promise<unknown> {
  const own = await running?.examine?.()
  return joinExaminations([examineProcess(), ...(own === undefined ? [] : [own])])
}

async function stop(timeoutMs: number): Promise<void> {
  if (stopping) return
  stopping = true
  try {
    await running?.stop(timeoutMs)
    exitProcess(0)
  } catch (error) {
    log?.error({ err: error }, 'the stop failed')
    exitProcess(1)
  }
}

function onMasterGone(): void {
  setTimeout(() => exitProcess(1), OWN_STOP_TIMEOUT_MS)
  void stop(OWN_STOP_TIMEOUT_MS)
}

function onUncaughtException(error: unknown): void {
  if (running === undefined && !stopping) {
    onStartFailed(error)
    return
  }
  log?.fatal({ err: error }, 'uncaught exception')
  exitProcess(1)
}

function tellMaster(message: MessageToMaster, onSent: () => void = () => {}): void {
  if (process.connected) process.send!(message, undefined, undefined, onSent)
  else onSent()
}

standardOutputs()
process.on('uncaughtException', onUncaughtException)
// Ctrl-C reaches the whole terminal group, and SIGTERM the whole service under systemd; the master says who stops when.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {
  if (!process.connected) void stop(OWN_STOP_TIMEOUT_MS)
})
// These tell a master something and may reach its whole group: a terminal that goes away, `systemctl kill`, `pkill`. Without a listener,
// SIGUSR1 would open Node's debugger to every user of this host, and the others would end the process.
for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {})
process.on('disconnect', onMasterGone)
// node:cluster would exit at once when the master is gone, with no time to stop.
cluster.worker?.on('disconnect', () => {
  cluster.worker!.exitedAfterDisconnect = true
})
process.on('message', onMessage)
tellMaster({ type: 'hello' })
