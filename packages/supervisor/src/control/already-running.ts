import { ClusterError } from './cluster-error.ts'

/** The refusal of a second start. */
export function alreadyRunning(pid: number | undefined): ClusterError {
  return new ClusterError(`already running, with pid ${pid}; see status, stop and restart`)
}
