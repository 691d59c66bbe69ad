import { readFileSync, statSync } from 'node:fs'
import { ControlClient } from './control-client.ts'
import type { RunFolder } from './run-folder.ts'

/** Every socket that somebody listens on, as Linux lists them: flags, type, state, inode and path. */
const LISTENING = /^\S+ \S+ \S+ 00010000 0001 \S+ +\d+ (\/.*\/control\.sock)$/gm

/** Which cluster is meant. */
export interface ClusterPlace {
  /** Absent where it has none, or the run folder was named and says it all. */
  configFile?: string
  runFolder: RunFolder
}

/**
 * The connection to the master of a cluster; undefined when none runs. It is found by its run folder, or by its config file where that goes with another
 * run folder by now: the path leads to another release than at the start, or the folder was removed.
 */
export async function findMaster({ configFile, runFolder }: ClusterPlace): Promise<ControlClient | undefined> {
  const client = await ControlClient.connect(runFolder.socket)
  if (client !== undefined) return client
  const others = await connectOthers(configFile)
  const found = others.find(({ cluster }) => {
    return cluster.runFolder === runFolder.path || (configFile !== undefined && cluster.configFile === configFile)
  })
  for (const other of others) if (other !== found) other.close()
  return found
}

/** That a cluster does not run, and which do. */
export async function describeNotRunning(): Promise<string> {
  const others = await connectOthers(undefined)
  for (const other of others) other.close()
  if (others.length === 0) return 'not running'
  const list = others.map(({ cluster, pid }) => `pid ${pid} with --run-dir ${cluster.runFolder}`)
  return `not running; there is another cluster: ${list.join(', ')}`
}

/** The masters on this host that this user may trust: its own, and those of whoever the config file belongs to. */
async function connectOthers(configFile: string | undefined): Promise<ControlClient[]> {
  const owner = configFile && statSync(configFile, { throwIfNoEntry: false })?.uid
  const owners = [process.getuid?.(), owner]
  const sockets = listControlSockets().filter((path) => owners.includes(statSync(path, { throwIfNoEntry: false })?.uid))
  const clients = await Promise.all(sockets.map((path) => ControlClient.connect(path).catch(() => undefined)))
  return clients.filter((client) => client !== undefined)
}

function listControlSockets(): string[] {
  try {
    const list = readFileSync('/proc/net/unix', 'utf8')
    return [...new Set(Array.from(list.matchAll(LISTENING), ([, path]) => path!))]
  } catch {
    return []
  }
}
