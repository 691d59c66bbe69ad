/** What a process is: `waiting` for a file to change, `ended` and due to be started again, `silent` when it is ready and does not answer. */
type ProcessCondition = 'ended' | 'ready' | 'silent' | 'starting' | 'stopping' | 'waiting'

/** What `status` says of one process, and what `--json` prints. What a process has none of, or did not answer, is null. */
export interface ProcessStatus {
  bufferedBytes: number | null
  condition: ProcessCondition
  connections: number | null
  /** Of one core, over the time since the figures before; up to 10 s, at least half a second. */
  cpuPercent: number | null
  droppedMessages: number | null
  droppedRequests: number | null
  /** How late its event loop was, over the last half minute. */
  eventLoopLagP99Ms: number | null
  expiredClients: number | null
  /** Whether its connections are clients, and its requests and sends are what those sent and got. */
  hasClients: boolean
  idleClients: number | null
  /** Null for the master. */
  index: number | null
  limitedClients: number | null
  /** Whether others find and reach it, and it them, as `ready` checks it; null where there is nobody to link to, or it is not ready. */
  linked: boolean | null
  listen: string | null
  memoryBytes: number | null
  name: string
  pausedClients: number | null
  /** Null while there is none. */
  pid: number | null
  /** Set aside, because worker after worker died with them. */
  poisonEvents: number | null
  /** Told to another worker, because the first one died. */
  redeliveredEvents: number | null
  /** Connections that were not let in, by the reason, and all of them. */
  refused: Readonly<Record<string, number>> | null
  refusedConnections: number | null
  requests: number | null
  /** Over the same time as `cpuPercent`. */
  requestsPerSecond: number | null
  /** How often it ended unasked and was started again. */
  restarts: number
  sends: number | null
  slowClients: number | null
  /** Null while there is no process. */
  uptimeMs: number | null
}

/**
 * The figures that can be added up. Where there are processes with clients, connections, requests and sends are of these only: what a
 * worker handles has come by way of a gateway.
 */
export type StatusTotal = Pick<
  ProcessStatus,
  | 'bufferedBytes'
  | 'connections'
  | 'cpuPercent'
  | 'memoryBytes'
  | 'pausedClients'
  | 'refusedConnections'
  | 'requests'
  | 'requestsPerSecond'
  | 'restarts'
  | 'sends'
  | 'slowClients'
>

/** What `status --json` prints; the first process is the master. */
export interface ClusterStatus {
  /** Where the log is, for a cluster in the background. */
  logFile: string | null
  /** Node.js's version. */
  node: string
  /** Why processes are not linked, or not ready, in words; what `ready` prints. */
  problems: string[]
  processes: ProcessStatus[]
  total: StatusTotal
  version: string
}
