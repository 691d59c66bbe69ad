import type { OptionTable } from '../define-app.ts'
import { flag, integer, text } from '../option-types.ts'
import { printableJson } from '../printable.ts'
import { formatConnections } from '../status/format-connections.ts'
import type { Call } from './cluster-program.ts'
import { connectRunning, readClusterCall } from './connect-cluster.ts'
import { Screen } from './screen.ts'

const options = {
  uid: { describe: 'Only those that are bound to this uid', flagOnly: true, type: text },
  group: { describe: 'Only those in this group', flagOnly: true, type: text },
  ip: { describe: 'Only those from this address', flagOnly: true, type: text },
  limit: { default: 50, describe: 'How many', flagOnly: true, type: integer(1, 10_000) },
  offset: { default: 0, describe: 'How many to leave out before', flagOnly: true, type: integer(0) },
  json: { default: false, describe: 'Print JSON', flagOnly: true, type: flag },
} satisfies OptionTable

/** Lists the clients that are connected. */
export async function connections(call: Call): Promise<void> {
  const read = await readClusterCall(call, 'connections', 'Lists the clients that are connected.', options)
  if (read === undefined) return
  const { json, ...query } = read.values
  const client = await connectRunning(read)
  const found = await client.request('connections', query)
  client.close()
  const screen = new Screen(false)
  screen.show(json ? printableJson(found) : formatConnections(found, query.offset, screen.columns))
}
