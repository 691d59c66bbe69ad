import { isInBackground } from '../background.ts'
import { findMaster } from '../control/find-master.ts'
import type { Call } from './cluster-program.ts'
import { prepareStart } from './start.ts'
import { stopCluster, stopOptions } from './stop.ts'

/** Stops the cluster, if it runs, and starts it; options that are wrong are found out before. */
export async function restart(call: Call): Promise<void> {
  const prepared = await prepareStart(call, 'restart', stopOptions)
  if (prepared === undefined) return
  // The process in the background has the same arguments as the one that has stopped the cluster already.
  const client = isInBackground ? undefined : await findMaster(prepared.place)
  if (client !== undefined) await stopCluster(client, prepared.values.graceful)
  await prepared.run()
}
