import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { UsageError } from '../usage-error.ts'

/** What the address of a Unix socket can hold, on the system that can hold least. */
const LONGEST_SOCKET_PATH_BYTES = 103

const isWindows = process.platform === 'win32'

/**
 * Where a running cluster keeps what it is found by: its control socket, its master's pid, its children's, and its log if it runs in
 * the background. It belongs to one user, and so who can connect to the socket is who may stop the cluster.
 */
export class RunFolder {
  readonly logFile: string
  readonly path: string
  readonly pidFile: string
  readonly socket: string
  readonly #childrenFile: string

  constructor(path: string) {
    this.path = resolve(path)
    this.logFile = join(this.path, 'gatewayworker.log')
    this.pidFile = join(this.path, 'master.pid')
    this.socket = socketPath(this.path)
    this.#childrenFile = join(this.path, 'children.pid')
  }

  /** Makes it, for this user only; a UsageError when there is one that others can open, or none can be made. */
  create(): void {
    makePrivate(this.path)
    if (!isWindows) makePrivate(dirname(this.socket))
  }

  /** Why the folder that is there is none for this user alone, in words; undefined if it is, or if there is none. */
  problem(): string | undefined {
    try {
      checkPrivate(this.path)
      return undefined
    } catch (error) {
      return (error as Error).message
    }
  }

  /** The pid of the master that wrote it last, which may be gone. */
  readPid(): number | undefined {
    return readPids(this.pidFile)[0]
  }

  /** The pids of the children that the last master had, which may be gone. */
  readChildren(): number[] {
    return readPids(this.#childrenFile)
  }

  writePid(): void {
    writeFileSync(this.pidFile, `${process.pid}\n`)
  }

  /** To be called whenever there is another child, so that those who outlive a master that was killed can be waited for. */
  writeChildren(pids: ReadonlySet<number>): void {
    try {
      writeFileSync(this.#childrenFile, [...pids, ''].join('\n'))
    } catch {
      // A folder that is gone, or a disk that is full, must not end the cluster.
    }
  }

  /** Removes what a master leaves, but for its log. */
  clear(): void {
    for (const file of [this.pidFile, this.#childrenFile, this.socket]) rmSync(file, { force: true })
  }
}

/** The folder of a cluster that names none: beside its config file, `.gatewayworker` for gatewayworker.config.ts. */
export function runFolderOf(configFile: string): string {
  const name = basename(configFile, extname(configFile))
  return join(dirname(configFile), name === 'gatewayworker.config' ? '.gatewayworker' : `.gatewayworker-${name}`)
}

function socketPath(folder: string): string {
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 16)
  if (isWindows) return `\\\\.\\pipe\\gatewayworker-${hash}`
  const path = join(folder, 'control.sock')
  return Buffer.byteLength(path) <= LONGEST_SOCKET_PATH_BYTES
    ? path
    : join(tmpdir(), `gatewayworker-${hash}`, 'control.sock')
}

const advice = 'name another folder with --run-dir'

function makePrivate(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700, recursive: true })
  } catch (error) {
    throw new UsageError(`${folder} cannot be made (${(error as NodeJS.ErrnoException).code}): ${advice}`)
  }
  checkPrivate(folder)
}

function checkPrivate(folder: string): void {
  const stats = statSync(folder, { throwIfNoEntry: false })
  if (isWindows || stats === undefined) return
  const { mode, uid } = stats
  if (uid !== process.getuid!()) throw new UsageError(`${folder} belongs to another user: ${advice}`)
  if ((mode & 0o077) !== 0) throw new UsageError(`${folder} is open to other users: chmod 700 it, or ${advice}`)
}

function readPids(file: string): number[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid > 0)
  } catch {
    return []
  }
}
