import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { statsOf } from '../stats-of.ts'
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
  readonly #childrenFile: string
  /** Says where the socket is, where that is not in this folder; `TMPDIR` may be another one tomorrow. */
  readonly #socketFile: string

  constructor(path: string) {
    this.path = resolve(path)
    this.logFile = join(this.path, 'gatewayworker.log')
    this.pidFile = join(this.path, 'master.pid')
    this.#childrenFile = join(this.path, 'children.pid')
    this.#socketFile = join(this.path, 'control.path')
  }

  /** Where the master listens. */
  get socket(): string {
    try {
      return readFileSync(this.#socketFile, 'utf8').trimEnd()
    } catch {
      return socketPath(this.path)
    }
  }

  /** Where a master goes on when this folder is gone, and its parent with it. */
  get refuge(): RunFolder {
    return new RunFolder(temporaryFolder(this.path))
  }

  /** Whether it could be made again as it was: not as a part of a folder that was removed. */
  get canBeRestored(): boolean {
    return existsSync(dirname(this.path))
  }

  /** Makes it, for this user only; a UsageError when there is one that others can open, or none can be made. */
  create(): void {
    makePrivate(this.path)
    if (isWindows || dirname(this.socket) === this.path) return
    makePrivate(dirname(this.socket))
    write(this.#socketFile, `${this.socket}\n`)
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
    write(this.pidFile, `${process.pid}\n`)
  }

  /** To be called whenever there is another child, so that those who outlive a master that was killed can be waited for. */
  writeChildren(pids: ReadonlySet<number>): void {
    write(this.#childrenFile, [...pids, ''].join('\n'))
  }

  /** Removes what a master leaves, but for its log. */
  clear(): void {
    for (const file of [this.pidFile, this.#childrenFile, this.socket, this.#socketFile]) rmSync(file, { force: true })
  }
}

/** The folder of a cluster that names none: beside its config file, `.gatewayworker` for gatewayworker.config.ts. */
export function runFolderOf(configFile: string): string {
  const name = basename(configFile, extname(configFile))
  return join(dirname(configFile), name === 'gatewayworker.config' ? '.gatewayworker' : `.gatewayworker-${name}`)
}

function socketPath(folder: string): string {
  if (isWindows) return `\\\\.\\pipe\\gatewayworker-${hash(folder)}`
  const path = join(folder, 'control.sock')
  return Buffer.byteLength(path) <= LONGEST_SOCKET_PATH_BYTES ? path : join(temporaryFolder(folder), 'control.sock')
}

function temporaryFolder(folder: string): string {
  return join(tmpdir(), `gatewayworker-${hash(folder)}`)
}

function hash(folder: string): string {
  return createHash('sha256').update(folder).digest('hex').slice(0, 16)
}

/** Without a word where that is not possible: a folder that is gone, or a disk that is full, must not end the cluster. */
function write(file: string, text: string): void {
  try {
    writeFileSync(file, text)
  } catch {}
}

const advice = 'name another folder with --run-dir'

function makePrivate(folder: string): void {
  try {
    makeFolder(folder)
  } catch (error) {
    throw new UsageError(`${folder} cannot be made (${(error as NodeJS.ErrnoException).code}): ${advice}`)
  }
  checkPrivate(folder)
}

/** Node's own recursive mkdir never ends where a folder cannot be made though its parent is there, as below /proc. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && statsOf(folder)?.isDirectory()) return
    if (code !== 'ENOENT' || existsSync(dirname(folder))) throw error
    makeFolder(dirname(folder))
    mkdirSync(folder, { mode: 0o700 })
  }
}

function checkPrivate(folder: string): void {
  const stats = statsOf(folder)
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
