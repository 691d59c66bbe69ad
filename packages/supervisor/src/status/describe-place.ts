import type { ProcessRun } from '../process-run.ts'
import type { SupervisedProcess } from '../supervised-process.ts'
import type { ProcessStatus } from './cluster-status.ts'
import type { Problems } from './find-problems.ts'

/** A process of which nothing is known. */
export const emptyStatus: ProcessStatus = {
  bufferedBytes: null,
  condition: 'ended',
  connections: null,
  cpuPercent: null,
  droppedMessages: null,
  droppedRequests: null,
  eventLoopLagP99Ms: null,
  expiredClients: null,
  hasClients: false,
  idleClients: null,
  index: null,
  limitedClients: null,
  linked: null,
  listen: null,
  memoryBytes: null,
  name: '',
  pausedClients: null,
  pid: null,
  poisonEvents: null,
  redeliveredEvents: null,
  refused: null,
  refusedConnections: null,
  requests: null,
  requestsPerSecond: null,
  restarts: 0,
  sends: null,
  slowClients: null,
  uptimeMs: null,
}

/** One row for each process of a place, and one for a place that has none at the moment; `problems` are those of the places. */
export async function describePlace(place: SupervisedProcess, problems: Problems): Promise<ProcessStatus[]> {
  const { current, index, name, restarts, runs } = place
  const others = runs.filter((run) => run !== current)
  const own = { ...emptyStatus, index, name }
  const linked = current?.state === 'ready' && current.hasLinks ? problems.get(place)?.length === 0 : null
  const rows = [describeRun({ ...own, linked, restarts }, current), ...others.map((run) => describeRun(own, run))]
  return Promise.all(rows)
}

async function describeRun(known: ProcessStatus, run: ProcessRun | undefined): Promise<ProcessStatus> {
  if (run === undefined) return known
  const answer = run.canAnswer ? await run.ask('stats', undefined) : undefined
  const isSilent = run.canAnswer && run.state === 'ready' && answer === undefined
  return {
    ...known,
    ...answer,
    condition: isSilent ? 'silent' : run.state,
    hasClients: run.hasClients,
    listen: run.listen ?? null,
    pid: run.pid ?? null,
    uptimeMs: Math.round(performance.now() - run.startedAt),
  }
}
