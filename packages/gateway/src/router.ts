import type { CommandToWorker } from '@gatewayworker/protocol'

/** A worker as a router sees it. */
export interface RoutableWorker {
  /** How many clients of this gateway are bound to it. */
  readonly clientCount: number
  /** Its host and label: "REMOTE_IP:NAME:ID". */
  readonly key: string
}

/** A client as a router sees it. */
export interface RoutedClient {
  readonly clientId: string
  readonly remoteAddress: string
  readonly uid: string | undefined
}

/**
 * Chooses the worker for a client whose next event this is; `body` is the message, if it is one. When the worker that served a client goes,
 * another is chosen at once: with CLIENT_CONTEXT where no event waits. `workers` has at least one; the same choice holds until that one goes.
 */
export type Router = (
  workers: readonly RoutableWorker[],
  client: RoutedClient,
  command: CommandToWorker,
  body: Uint8Array,
) => RoutableWorker

/** The worker with the fewest clients; of equals, the one that came first. */
export const leastConnections: Router = (workers) =>
  workers.reduce((least, worker) => (worker.clientCount < least.clientCount ? worker : least))

/** Any worker, each with the same chance. */
const random: Router = (workers) => workers[Math.floor(Math.random() * workers.length)]!

/** The built-in routers by the name that options call them. */
export const BUILT_IN_ROUTERS = { 'least-connections': leastConnections, random } as const
