import type { ConnectionsPage, ConnectionsQuery } from '../define-app.ts'
import type { ProcessGroup } from '../process-group.ts'
import type { ProcessRun } from '../process-run.ts'

/** The connections of a whole cluster, and the names of processes that did not say theirs. */
export type FoundConnections = ConnectionsPage & { unanswered: string[] }

/** What one process has, where it stands among all. */
interface Part {
  from: number
  name: string
  run: ProcessRun
  total: number
}

/**
 * The connections that fit a query, those of one process after those of another. First all are asked for their number, then those
 * that have some of the wanted ones for these.
 */
export async function findConnections(
  groups: readonly ProcessGroup[],
  query: ConnectionsQuery,
): Promise<FoundConnections> {
  const unanswered: string[] = []
  const parts: Part[] = []
  let total = 0
  const askable = groups
    .flatMap(({ processes }) => processes)
    .filter(({ current }) => current?.hasClients && current.canAnswer)
    .map(({ current, index, name }) => ({ name: `${name} #${index}`, run: current! }))
  const counts = await Promise.all(askable.map(({ run }) => run.ask('connections', { ...query, limit: 0, offset: 0 })))
  for (const [at, { name, run }] of askable.entries()) {
    const count = counts[at]
    if (count === undefined) {
      unanswered.push(name)
      continue
    }
    parts.push({ from: total, name, run, total: count.total })
    total += count.total
  }

  const end = query.offset + query.limit
  const wanted = parts.filter(({ from, total }) => from < end && from + total > query.offset)
  const pages = await Promise.all(
    wanted.map(({ from, run }) => {
      const offset = Math.max(0, query.offset - from)
      return run.ask('connections', { ...query, limit: end - from - offset, offset })
    }),
  )
  for (const [at, { name }] of wanted.entries()) if (pages[at] === undefined) unanswered.push(name)
  return { rows: pages.flatMap((page) => page?.rows ?? []), total, unanswered }
}
