import { closeSync, constants, openSync } from 'node:fs'
import { Output } from './output.ts'

const { O_APPEND, O_CREAT, O_NONBLOCK = 0, O_WRONLY } = constants

/** The log of a cluster in the background: the lines of the master and of all its children in one file. */
export class LogFile extends Output {
  readonly path: string

  /** Throws the system's error when the file cannot be written. */
  constructor(path: string) {
    super(openLog(path))
    this.path = path
  }

  /** Goes on in a new file of the same name, after somebody has moved the old one; throws, and stays, when there can be none. */
  reopen(): void {
    closeSync(this.replaceDescriptor(openLog(this.path)))
  }
}

/** For its owner alone: a log can hold what clients sent. Where it is a named pipe, nobody waits for its reader. */
export function openLog(path: string): number {
  return openSync(path, O_APPEND | O_CREAT | O_NONBLOCK | O_WRONLY, 0o600)
}
