import { setTimeout as sleep } from 'node:timers/promises'
import type { OptionTable } from '../define-app.ts'
import { flag } from '../option-types.ts'
import { printableJson } from '../printable.ts'
import type { ClusterStatus } from '../status/cluster-status.ts'
import { formatStatus } from '../status/format-status.ts'
import type { Call } from './cluster-program.ts'
import { connectRunning, readClusterCall } from './connect-cluster.ts'
import { NOT_LINKED_EXIT_CODE } from './exit-codes.ts'
import { Screen } from './screen.ts'

const REFRESH_PAUSE_MS = 1000

const options = {
  json: { default: false, describe: 'Print JSON', flagOnly: true, type: flag },
  live: { alias: 'd', default: false, describe: 'Refresh every second until Ctrl-C', flagOnly: true, type: flag },
} satisfies OptionTable

/** Shows a row for each process of the cluster, and by the exit code whether all are linked. */
export async function status(call: Call): Promise<void> {
  const read = await readClusterCall(call, 'status', 'Shows what each process does.', options)
  if (read === undefined) return
  const show = read.values.json ? (status: ClusterStatus) => printableJson(status) : formatStatus
  const screen = new Screen(read.values.live)
  for (;;) {
    const client = await connectRunning(read)
    const status = await client.request('status', undefined)
    screen.show(show(status, screen.columns))
    client.close()
    if (!read.values.live) {
      if (status.problems.length > 0) process.exitCode = NOT_LINKED_EXIT_CODE
      return
    }
    await sleep(REFRESH_PAUSE_MS)
  }
}
