import { once } from 'node:events'
import { lstatSync, type Stats } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { printable } from '../printable.ts'
import type { Report } from '../reload.ts'
import { statsOf } from '../stats-of.ts'
import { UsageError } from '../usage-error.ts'
import { ClusterError } from './cluster-error.ts'
import type { ClusterIdentity, ControlCommands, ControlReply } from './control-protocol.ts'
import { readLines } from './read-lines.ts'

/** A master that runs has said hello by then, unless it is stopped by a signal. */
const HELLO_TIMEOUT_MS = 2000

/** Nobody listens: there is no socket, a dead one, or a file that is none. */
const NOBODY = ['ECONNREFUSED', 'ENOENT', 'ENOTDIR', 'ENOTSOCK']

/** A connection to a master's control socket, good for one request. */
export class ControlClient {
  readonly cluster: ClusterIdentity
  /** The master's process id. */
  readonly pid: number
  readonly #lines: AsyncIterator<string, undefined>
  readonly #socket: Socket

  private constructor(socket: Socket, lines: AsyncIterator<string, undefined>, pid: number, cluster: ClusterIdentity) {
    this.cluster = cluster
    this.pid = pid
    this.#lines = lines
    this.#socket = socket
  }

  /** Undefined when no master listens there; a ClusterError when one listens that does not speak, a UsageError when it is another user's. */
  static async connect(path: string): Promise<ControlClient | undefined> {
    checkOwner(dirname(path))
    const socket = await open(path)
    if (socket === undefined) return undefined
    const lines = readLines(socket)
    const timer = setTimeout(() => socket.destroy(), HELLO_TIMEOUT_MS)
    const hello = await nextReply(lines)
    clearTimeout(timer)
    if (hello?.type === 'hello')
      return new ControlClient(socket, lines, hello.pid, hello.cluster ?? { runFolder: dirname(path) })
    socket.destroy()
    throw new ClusterError(`the master that listens on ${path} does not answer`)
  }

  /** What the master answers, and its progress meanwhile; a ClusterError with what it says when it cannot. */
  async request<C extends keyof ControlCommands>(
    command: C,
    parameters: ControlCommands[C]['parameters'],
    report: Report = () => {},
  ): Promise<ControlCommands[C]['result']> {
    this.#socket.write(`${JSON.stringify({ command, parameters })}\n`)
    for (;;) {
      const reply = await nextReply(this.#lines)
      if (reply === undefined) throw new ClusterError('the master ended before it had answered')
      if (reply.type === 'progress') report(printable(reply.text))
      if (reply.type === 'error') throw new ClusterError(reply.message)
      if (reply.type === 'result') return reply.value as ControlCommands[C]['result']
    }
  }

  /** Resolves when the master has let go of the connection, at the latest with its end. */
  async closed(): Promise<void> {
    while (!(await this.#lines.next()).done);
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** Whoever may write into the folder answers in the master's place. */
function checkOwner(folder: string): void {
  const stats = statsOf(folder)
  if (process.getuid === undefined || stats === undefined) return
  if (!isTrusted(stats, folder) || !isTrusted(lstatSync(folder), folder))
    throw new UsageError(`${folder} belongs to another user`)
  if ((stats.mode & 0o022) !== 0) throw new UsageError(`${folder} can be written to by other users: chmod 700 it`)
}

/** Root may command other users' clusters, but not from where everybody can make a folder. */
function isTrusted({ uid }: Stats, folder: string): boolean {
  const ownUid = process.getuid!()
  return uid === ownUid || (ownUid === 0 && ((statsOf(dirname(folder))?.mode ?? 0o002) & 0o002) === 0)
}

async function open(path: string): Promise<Socket | undefined> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    if (NOBODY.includes(code)) return undefined
    throw new UsageError(code === 'EACCES' ? `${path} belongs to another user` : message)
  }
  // The end of the connection tells.
  socket.on('error', () => {})
  return socket
}

/** Undefined when the connection has ended. */
async function nextReply(lines: AsyncIterator<string, undefined>): Promise<ControlReply | undefined> {
  const { value } = await lines.next()
  return value === undefined ? undefined : (JSON.parse(value) as ControlReply)
}
