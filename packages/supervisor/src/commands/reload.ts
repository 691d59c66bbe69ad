import type { Call } from './cluster-program.ts'
import { connectRunning, readClusterCall } from './connect-cluster.ts'

const describe =
  'Replaces the processes that run your code, one by one, each when the new one is ready. Clients stay connected. Code that does not start changes nothing.'

/** Replaces the processes that run users' code; a ClusterError when the new code does not start. */
export async function reload(call: Call): Promise<void> {
  const read = await readClusterCall(call, 'reload', describe, {})
  if (read === undefined) return
  const say = (text: string) => void process.stdout.write(`${text}\n`)
  const client = await connectRunning(read)
  const { replaced } = await client.request('reload', undefined, say)
  client.close()
  say(replaced === 0 ? 'no process runs code of yours: nothing to reload' : `reloaded ${replaced} processes`)
}
