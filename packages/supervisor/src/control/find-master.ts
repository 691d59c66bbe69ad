import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { findSocketHolder } from '../doctor/port-holder.ts'
import { statsOf } from '../stats-of.ts'
import { ClusterError } from './cluster-error.ts'
import { ControlClient } from './control-client.ts'
import type { RunFolder } from './run-folder.ts'

/** Every socket that somebody listens on, as Linux lists them: flags, type, state, inode and path. */
const LISTENING = /^\S+ \S+ \S+ 00010000 0001 \S+ +(\d+) (\/.*\/control\.sock)$/gm

/** A master whose run folder was removed has made another one by then. */
const RESTORED_AFTER_MS = 3000
const LOOK_AGAIN_MS = 100

/** Which cluster is meant. */
export interface ClusterPlace {
  /** Absent where it has none, or the run folder was named and says it all. */
  configFile?: string
  runFolder: RunFolder
}

/**
 * The connection to the master of a cluster; undefined when none runs. It is found by its run folder, or by its config file where that goes
 * with another run folder by now: the path leads to another release than at the start, or the folder was removed. A ClusterError when
 * one runs that cannot be reached.
 */
export async function findMaster(place: ClusterPlace): Promise<ControlClient | undefined> {
  const deadline = performance.now() + RESTORED_AFTER_MS
  for (;;) {
    const client = (await ControlClient.connect(place.runFolder.socket)) ?? (await findElsewhere(place))
    const removed = listControlSockets().get(place.runFolder.socket)
    if (client !== undefined || removed === undefined) return client
    if (performance.now() > deadline) throw unreachable(place.runFolder, removed)
    await sleep(LOOK_AGAIN_MS)
  }
}

/** That a cluster does not run, and which do. */
export async function describeNotRunning(): Promise<string> {
  const others = await connectOthers()
  for (const other of others) other.close()
  if (others.length === 0) return 'not running'
  const list = others.map(({ cluster, pid }) => `pid ${pid} with --run-dir ${cluster.runFolder}`)
  return `not running; there is another cluster: ${list.join(', ')}`
}

async function findElsewhere({ configFile, runFolder }: ClusterPlace): Promise<ControlClient | undefined> {
  const others = await connectOthers(configFile)
  const found = others.find(({ cluster }) => {
    return cluster.runFolder === runFolder.path || (configFile !== undefined && cluster.configFile === configFile)
  })
  for (const other of others) if (other !== found) other.close()
  return found
}

/** The masters on this host that this user may trust: its own, and those of whoever the config file belongs to. */
async function connectOthers(configFile?: string): Promise<ControlClient[]> {
  const owners = [process.getuid?.(), ownerOf(configFile)].filter((uid) => uid !== undefined)
  const sockets = [...listControlSockets().keys()].filter((path) => owners.some((uid) => uid === ownerOf(path)))
  const clients = await Promise.all(sockets.map((path) => ControlClient.connect(path).catch(() => undefined)))
  return clients.filter((client) => client !== undefined)
}

function ownerOf(path: string | undefined): number | undefined {
  return path === undefined ? undefined : statsOf(path)?.uid
}

/** By their paths, which may be gone, the inodes of control sockets that a master listens on; none where the system does not tell. */
function listControlSockets(): Map<string, string> {
  try {
    const list = readFileSync('/proc/net/unix', 'utf8')
    return new Map(Array.from(list.matchAll(LISTENING), ([, inode, path]) => [path!, inode!]))
  } catch {
    return new Map()
  }
}

function unreachable({ socket }: RunFolder, inode: string): ClusterError {
  const pid = findSocketHolder(new Set([inode]))?.pid ?? 'unknown'
  return new ClusterError(
    `the cluster runs, pid ${pid}, but its control socket ${socket} was removed: kill -TERM ${pid} stops it`,
  )
}
