import { Command, EMPTY, type Log } from '@gatewayworker/protocol'
import type { ClientConnection } from './client-connection.ts'
import { describeValue, letGo } from './describe-value.ts'
import { leastConnections, type Router } from './router.ts'
import { isSuspect, type WorkerPeer } from './worker-peer.ts'

/**
 * The workers that may serve a client. Suspect events go to one worker, and everybody else to the others; none while that would leave nobody
 * for everybody else.
 */
export function candidatesFor(
  { events: { nextToTell } }: ClientConnection,
  available: readonly WorkerPeer[],
): readonly WorkerPeer[] {
  const isolated = available.filter((worker) => worker.isIsolated)
  if (nextToTell === undefined || !available.every((worker) => isSuspect(nextToTell, worker))) {
    return isolated.length < available.length ? available.filter((worker) => !worker.isIsolated) : available
  }
  if (isolated.length > 0) return isolated
  return available.length > 1 ? available : []
}

/** Has the user's router choose; if it does not, the worker with the fewest clients is taken. */
export function chooseWorker(
  workers: readonly WorkerPeer[],
  client: ClientConnection,
  router: Router,
  log: Log,
): WorkerPeer {
  const { body = EMPTY, command = Command.CLIENT_CONTEXT } = client.events.nextToTell ?? {}
  const bytes = body instanceof Uint8Array ? body : EMPTY
  try {
    const chosen = router(workers, client, command, bytes)
    const worker = workers.find((known) => known === chosen)
    if (worker !== undefined) return worker
    letGo(chosen)
    log.error({ clientId: client.clientId }, `the router returned ${describeValue(chosen)}, and none of the workers`)
  } catch (err) {
    log.error({ clientId: client.clientId, err }, 'the router threw')
  }
  return leastConnections(workers, client, command, bytes) as WorkerPeer
}
