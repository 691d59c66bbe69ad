import { isatty } from 'node:tty'

const STDOUT = 1

const hadTerminal = isatty(STDOUT)

/** Whether this process was started on a terminal that is there no more: its window was closed, or the connection to it lost. */
export function isTerminalGone(): boolean {
  return hadTerminal && !isatty(STDOUT)
}

/** Ends this process; where the terminal is gone without an exit code, because Node would fail to reset it, and dump core. */
export function exitProcess(code: number): never {
  if (isTerminalGone()) process.kill(process.pid, 'SIGKILL')
  process.exit(code)
}
