/** What the master tells a child that has said hello: what to be. */
export interface StartMessage {
  type: 'start'
  index: number
  logLevel: string
  /** URL of the module whose default export is the app. */
  module: string
  name: string
  options: Record<string, unknown>
}

/** What the master tells a child. */
export type MessageToChild = StartMessage | { type: 'stop' }

/** Why a process did not start: what is left of an error between processes. */
export interface StartFailure {
  address?: string
  code?: string
  message: string
  port?: number
  /** Absent where the message says all. */
  stack?: string
}

/** What a child tells its master. */
export type MessageToMaster =
  /** It is up and wants to know what to be. */
  | { type: 'hello' }
  | { type: 'ready'; listen?: string }
  /** It did not start, and is about to end. */
  | { type: 'failed'; failure: StartFailure }
  /** It did not start, has logged why, and tries again when a file changes. */
  | { type: 'waiting' }
  /** A file changed: it is about to end, and another is to take its place at once. */
  | { type: 'restart' }

/** Puts an error into a form that travels between processes. */
export function describeFailure(error: unknown): StartFailure {
  if (!(error instanceof Error)) return { message: String(error) }
  const { address, code, message, name, port, stack } = error as NodeJS.ErrnoException & StartFailure
  return { address, code, message, port, stack: name === 'UsageError' ? undefined : stack }
}
