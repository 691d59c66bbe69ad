import type { DigestedConfig } from '../config-digest.ts'
import type { ConnectionsPage, ConnectionsQuery, DeadLettersQuery } from '../define-app.ts'
import type { PlacedExamination } from '../doctor/examination.ts'
import type { Reloaded } from '../reload.ts'
import type { ClusterStatus } from '../status/cluster-status.ts'
import type { FoundDeadLetters } from '../status/find-dead-letters.ts'

/** What a master can be asked over its control socket, with which parameters, and what it answers. */
export interface ControlCommands {
  connections: { parameters: ConnectionsQuery; result: ConnectionsPage & { unanswered: string[] } }
  /** Events that were given up, after some of them were delivered again. */
  deadLetters: { parameters: DeadLettersQuery; result: FoundDeadLetters }
  /** What each process finds out about itself and those whom it needs. */
  examine: { parameters: undefined; result: PlacedExamination[] }
  /** What keeps processes from being found and reached by others, in words. */
  ready: { parameters: undefined; result: string[] }
  /** `config`: the config file as it is now; `changed`: its keys that differ from those of the start, which only a restart applies. */
  reload: { parameters: { config?: DigestedConfig }; result: Reloaded & { changed: string[] } }
  status: { parameters: undefined; result: ClusterStatus }
  /** The result comes when all is over but the master's own end; `patient` leaves those that drain all the time they need. */
  stop: { parameters: { patient: boolean }; result: null }
}

/** The one line that a client sends. */
export interface ControlRequest<C extends keyof ControlCommands = keyof ControlCommands> {
  command: C
  parameters: ControlCommands[C]['parameters']
}

/** Which cluster a master runs. */
export interface ClusterIdentity {
  /** Absent where there is none. */
  configFile?: string
  /** The one that it was started with. */
  runFolder: string
}

/** What the master says, a line each: first hello, then progress as it comes, at last the result or an error. */
export type ControlReply =
  | { type: 'hello'; cluster?: ClusterIdentity; pid: number; version: string }
  | { type: 'progress'; text: string }
  | { type: 'result'; value: unknown }
  | { type: 'error'; message: string }
