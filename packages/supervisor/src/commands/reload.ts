import { type DigestedConfig, digestConfigFile } from '../config-digest.ts'
import { printable } from '../printable.ts'
import type { Call } from './cluster-program.ts'
import { connectRunning, readClusterCall } from './connect-cluster.ts'
import { findConfig } from './find-config.ts'

const describe =
  'Replaces the processes that run your code, one by one, each when the new one is ready. Clients stay connected. If the new code fails to start, the old processes keep running.'

/** Replaces the processes that run users' code; a ClusterError when the new code does not start. */
export async function reload(call: Call): Promise<void> {
  const read = await readClusterCall(call, 'reload', describe, {})
  if (read === undefined) return
  const client = await connectRunning(read)
  const config = await readConfig(call)
  const parameters = typeof config === 'object' ? { config } : {}
  const { changed, replaced, warnings } = await client.request('reload', parameters, say)
  client.close()
  say(replaced === 0 ? 'no process runs code of yours: nothing to reload' : `reloaded ${replaced} processes`)
  for (const warning of warnings) say(`warning: ${warning}`)
  if (changed.length > 0)
    say(`${findConfig(call, { forRunning: true })} has changed; only \`restart\` applies: ${changed.join(', ')}`)
  if (typeof config === 'string') say(`warning: ${config}; a restart would fail`)
}

/** The config file as it is now, or what is wrong with it, which is no reason not to reload. */
async function readConfig(call: Call): Promise<DigestedConfig | string | undefined> {
  const path = findConfig(call, { forRunning: true })
  if (path === undefined) return undefined
  try {
    return await digestConfigFile(path, call.program.define(path).provide)
  } catch (error) {
    return (error as Error).message
  }
}

function say(text: string): void {
  process.stdout.write(`${printable(text)}\n`)
}
