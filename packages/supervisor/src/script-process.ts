import { fork } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Logger } from 'pino'
import type { ProcessKind } from './process-run.ts'
import { childDirectory } from './working-directory.ts'

/** What a process is that runs a plain Node program. */
export interface ScriptGroup {
  args?: string[]
  /** What it listens on, for the table. */
  listen?: string
  log: Logger
  /** Absolute path of the program. */
  script: string
}

/**
 * Processes that run a program which knows nothing of a supervisor: it is ready when it does `process.send('ready')` and stops
 * at SIGTERM. What it writes goes into the log; what it writes to stderr before it is ready is why it did not start.
 */
export function createScriptKind({ args = [], listen, log, script }: ScriptGroup): ProcessKind {
  let complaints: string[] = []
  let ready = false
  return {
    canAnswer: false,
    explain: () => complaints.join('\n') || undefined,
    fork() {
      complaints = []
      ready = false
      const child = fork(script, args, { cwd: childDirectory(), stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
      createInterface(child.stdout!).on('line', (line) => log.info({}, line))
      createInterface(child.stderr!).on('line', (line) => (ready ? log.error({}, line) : complaints.push(line)))
      return child
    },
    interpret(message) {
      if (message !== 'ready') return undefined
      ready = true
      return { type: 'ready', hasClients: false, hasLinks: false, listen, warnings: [] }
    },
    requestStop: (child) => void child.kill('SIGTERM'),
  }
}
