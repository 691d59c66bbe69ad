import { linkSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Logger } from 'pino'
import { UsageError } from '../usage-error.ts'
import { alreadyRunning } from './already-running.ts'
import { ClusterError } from './cluster-error.ts'
import { ControlClient } from './control-client.ts'
import type { ControlServer } from './control-server.ts'
import type { RunFolder } from './run-folder.ts'
import { whenGone } from './when-gone.ts'

/** How long the children of a master that was killed may take to stop by themselves, and a little more. */
const ORPHANS_TIMEOUT_MS = 4000

/**
 * Makes this process the one master of a run folder: listens on its control socket and writes its pid. A ClusterError names the
 * master that there is already. What one that was killed left behind is removed, and its children are waited for.
 */
export async function claimRunFolder(folder: RunFolder, server: ControlServer, log: Logger): Promise<void> {
  folder.create()
  while (!(await listens(server, folder.socket))) {
    await refuseMaster(folder.socket, folder)
    await removeDeadSocket(folder)
  }
  const formerPid = folder.readPid()
  if (formerPid !== undefined) log.warn({ formerPid }, 'the former master did not end as it should')
  folder.writePid()
  const orphans = await whenGone(folder.readChildren(), ORPHANS_TIMEOUT_MS)
  if (orphans.length > 0) log.error({ orphans }, 'processes of the former master still run')
}

async function listens(server: ControlServer, path: string): Promise<boolean> {
  try {
    await server.listen(path)
    return true
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') return false
    throw new UsageError(`the control socket ${path} cannot be made (${message}): name another folder with --run-dir`)
  }
}

/** Throws when a master listens on the socket: that proves that it lives, as no pid can, which may be another's by now. */
async function refuseMaster(socket: string, folder: RunFolder): Promise<void> {
  let pid: number | undefined
  try {
    const client = await ControlClient.connect(socket)
    if (client === undefined) return
    pid = client.pid
    client.close()
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error
    pid = folder.readPid()
  }
  throw alreadyRunning(pid)
}

/** Between our look and now another start may have put its own socket there: it is moved first, looked at again, and put back. */
async function removeDeadSocket(folder: RunFolder): Promise<void> {
  const aside = join(dirname(folder.socket), String(process.pid))
  try {
    renameSync(folder.socket, aside)
  } catch {
    return
  }
  try {
    await refuseMaster(aside, folder)
  } catch (error) {
    linkSync(aside, folder.socket)
    throw error
  } finally {
    rmSync(aside, { force: true })
  }
}
