import { ClusterError } from '../control/cluster-error.ts'
import type { ControlClient } from '../control/control-client.ts'
import { describeNotRunning } from '../control/find-master.ts'
import { whenGone } from '../control/when-gone.ts'
import type { OptionTable } from '../define-app.ts'
import { flag } from '../option-types.ts'
import type { Call } from './cluster-program.ts'
import { readClusterCall } from './connect-cluster.ts'

/** Between its answer and its end a master has nothing more to do. */
const MASTER_END_TIMEOUT_MS = 5000

/** What `stop` and `restart` can be told. */
export const stopOptions = {
  graceful: {
    alias: 'g',
    default: false,
    describe: 'Wait for running handlers however long they take',
    flagOnly: true,
    type: flag,
  },
} satisfies OptionTable

/** Stops the cluster; that none runs is no failure. */
export async function stop(call: Call): Promise<void> {
  const read = await readClusterCall(call, 'stop', 'Stops the cluster, and waits until it is gone.', stopOptions)
  if (read === undefined) return
  const client = await read.connect()
  if (client === undefined) say(await describeNotRunning())
  else await stopCluster(client, read.values.graceful)
}

/** Stops the cluster, says what happens, and resolves when its master is gone. */
export async function stopCluster(client: ControlClient, patient: boolean): Promise<void> {
  try {
    await client.request('stop', { patient }, say)
  } catch (error) {
    // A second Ctrl-C on its terminal, or a kill, has been faster.
    if (!(error instanceof ClusterError)) throw error
  }
  await client.closed()
  const left = await whenGone([client.pid], MASTER_END_TIMEOUT_MS)
  if (left.length > 0) throw new ClusterError(`the master, pid ${client.pid}, is still there`)
  say('stopped')
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
