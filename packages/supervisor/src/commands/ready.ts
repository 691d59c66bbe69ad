import { ClusterError } from '../control/cluster-error.ts'
import type { Call } from './cluster-program.ts'
import { connectRunning, readClusterCall } from './connect-cluster.ts'

const describe =
  'Tells by its exit code whether every process can be found and reached by those who need it; if not, why.'

/** Succeeds when every process is ready for others, as a readiness probe or health check asks; else a ClusterError with what is wrong. */
export async function ready(call: Call): Promise<void> {
  const read = await readClusterCall(call, 'ready', describe, {})
  if (read === undefined) return
  const client = await connectRunning(read)
  const problems = await client.request('ready', undefined)
  client.close()
  if (problems.length > 0) throw new ClusterError(problems.join('\n'))
  process.stdout.write('ready\n')
}
