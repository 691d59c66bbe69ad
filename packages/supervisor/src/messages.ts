import type { Address } from './address.ts'
import type {
  ConnectionsPage,
  ConnectionsQuery,
  DeadLettersAnswer,
  DeadLettersQuery,
  ProcessStats,
} from './define-app.ts'
import type { Examination } from './doctor/examination.ts'

/** What the master tells a child that has said hello: what to be. */
export interface StartMessage {
  type: 'start'
  index: number
  /** Whether another process has the place, and hands it over when this one is loaded. */
  isSuccessor: boolean
  logLevel: string
  /** URL of the module whose default export is the app. */
  module: string
  name: string
  options: Record<string, unknown>
}

/** What `doctor` tells a child that has said hello: what not to be, but to examine. */
export interface ExamineMessage extends Pick<StartMessage, 'module' | 'name' | 'options'> {
  type: 'examine'
  /** Where all processes of the cluster are going to listen. */
  addresses: Address[]
}

/** What a master can ask a child that is ready, and what it gets for an answer. */
export interface Questions {
  connections: { answer: ConnectionsPage; query: ConnectionsQuery }
  deadLetters: { answer: DeadLettersAnswer; query: DeadLettersQuery }
  examine: { answer: Examination; query: undefined }
  /** To give its place to another process, within so many milliseconds; true when it has. */
  handOver: { answer: true; query: number }
  problems: { answer: string[]; query: undefined }
  stats: { answer: ChildStats; query: undefined }
  /** To have its place again; true when it has. */
  takeBack: { answer: true; query: undefined }
}

/** What a child says of itself: what its app counts, and how late its event loop was. */
interface ChildStats extends ProcessStats {
  eventLoopLagP99Ms: number
}

/** A question; `id` is in the answer to it. */
export interface AskMessage<Q extends keyof Questions = keyof Questions> {
  type: 'ask'
  id: number
  query: Questions[Q]['query']
  question: Q
}

/** What the master tells a child. */
export type MessageToChild =
  | AskMessage
  | ExamineMessage
  | StartMessage
  /** Its place is free. */
  | { type: 'begin' }
  /** It is killed after `timeoutMs`, or never if there is none. */
  | { type: 'stop'; timeoutMs?: number }

/** Why a process did not start: what is left of an error between processes. */
export interface StartFailure {
  address?: string
  code?: string
  /** That could not be resolved. */
  hostname?: string
  message: string
  port?: number
  /** Absent where the message says all. */
  stack?: string
}

/** What a child tells its master. */
export type MessageToMaster =
  /** It is up and wants to know what to be. */
  | { type: 'hello' }
  /** It is loaded, and begins when its predecessor has handed over. */
  | { type: 'loaded' }
  /** `hasClients`: whether it can be asked for connections. `hasLinks`: whether it can be asked for problems. */
  | { type: 'ready'; hasClients: boolean; hasLinks: boolean; listen?: string; warnings: readonly string[] }
  /** What it was to examine; it is about to end. */
  | { type: 'examined'; examination: Examination }
  /** It did not start, and is about to end. */
  | { type: 'failed'; failure: StartFailure }
  /** It did not start, has logged why, and tries again when a file changes. */
  | { type: 'waiting' }
  /** A file changed: it is about to end, and another is to take its place at once. */
  | { type: 'restart' }
  /** What it was asked; no `answer` when it failed, which it has logged. */
  | { type: 'answer'; answer?: unknown; id: number }

/** Puts an error into a form that travels between processes. */
export function describeFailure(error: unknown): StartFailure {
  if (!(error instanceof Error)) return { message: String(error) }
  const { address, code, hostname, message, name, port, stack } = error as NodeJS.ErrnoException & StartFailure
  return { address, code, hostname, message, port, stack: name === 'UsageError' ? undefined : stack }
}
