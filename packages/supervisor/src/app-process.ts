import { type ChildProcess, fork, type StdioOptions } from 'node:child_process'
import cluster from 'node:cluster'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { App } from './define-app.ts'
import { endHandedOverWith } from './end-handed-over.ts'
import { explainFailure } from './explain-failure.ts'
import type { LogFile } from './log-file.ts'
import type { MessageToMaster, StartFailure } from './messages.ts'
import { type ProcessKind, sendTo } from './process-run.ts'
import { childDirectory } from './working-directory.ts'

/** The program that every child process runs. */
export const childFile = fileURLToPath(new URL('./child.js', import.meta.url))

/** What the processes of one app's group are. */
export interface AppGroup {
  app: App
  /** How many they are. */
  count: number
  /** Where their output goes, if not to that of this process. */
  logFile?: LogFile
  logLevel: string
  name: string
  /** What the options are called where they are not the app's own: `--listen` may be a cluster's `--register-address`. */
  optionNames?: Readonly<Record<string, string>>
  options: Record<string, unknown>
}

/** Processes that run an app. Its options travel by IPC, since command lines and environments are for everyone to read. */
export function createAppKind({
  app,
  count,
  logFile,
  logLevel,
  name,
  optionNames = {},
  options,
}: AppGroup): ProcessKind {
  return {
    canAnswer: true,
    explain(failure, index) {
      const ports = app.ports?.(options, index) ?? []
      const explanation = explainFailure(failure, ports)
      return explanation?.replace(/--[a-z-]+/g, (option) => optionNames[option] ?? option)
    },
    fork() {
      if (logFile === undefined) return forkChild(['ignore', 'inherit', 'inherit', 'ipc'])
      // By way of this process, which alone knows when the file is another one.
      const child = forkChild(['ignore', 'pipe', 'pipe', 'ipc'])
      logFile.collect(child.stdout!)
      logFile.collect(child.stderr!)
      return child
    },
    interpret: (message) => message as MessageToMaster,
    requestStop(child, timeoutMs) {
      sendTo(child, { type: 'stop', timeoutMs: timeoutMs === Number.POSITIVE_INFINITY ? undefined : timeoutMs })
    },
    startMessage: (index, isSuccessor) => ({
      index,
      isSuccessor,
      logLevel,
      module: app.module,
      name,
      options,
      type: 'start',
    }),
  }

  function forkChild(stdio: Exclude<StdioOptions, string>): ChildProcess {
    // Cluster's children share every port they listen on, with those of other groups too, and get each connection by way of the
    // master: only for a group that wants it.
    if (app.sharedListen === undefined || count === 1)
      return orSayGone(fork(childFile, { cwd: childDirectory(), stdio }))
    cluster.setupPrimary({ args: [], cwd: childDirectory(), exec: childFile, stdio })
    const child = cluster.fork().process
    endHandedOverWith(child)
    return orSayGone(child)
  }
}

/** Says for a child that cannot load its own program why it is about to end. */
function orSayGone(child: ChildProcess): ChildProcess {
  if (existsSync(childFile)) return child
  const failure: StartFailure = { message: `${childFile} is gone: install it again, or restart from where it is now` }
  process.nextTick(() => child.emit('message', { failure, type: 'failed' } satisfies MessageToMaster))
  return child
}
