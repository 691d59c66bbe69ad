import type { BusinessWorker } from './business-worker.ts'
import type { Context } from './context.ts'
import type { HandshakeRequest } from './handshake-request.ts'
import type { ProcessTimeoutReport } from './process-timeout.ts'

type Result = void | Promise<void>

/** What an Events file may export, by name, as its default object, or as static methods of its default class. All are optional. */
export interface Events {
  onWorkerStart?(worker: BusinessWorker): Result
  /** A client is there. Nothing of it is handled before this has settled. */
  onConnect?(clientId: string, context: Context): Result
  /** The WebSocket handshake. Throwing, or closing the client, refuses it: no message of it is handled. */
  onWebSocketConnect?(clientId: string, request: HandshakeRequest, context: Context): Result
  /** A message: a string for text, a Buffer for binary. Messages of one client are handled one after the other. */
  onMessage?(clientId: string, message: string | Buffer, context: Context): Result
  /** The client is gone. `context.session` is its last one; changes are not stored any more. */
  onClose?(clientId: string, context: Context): Result
  onWorkerStop?(worker: BusinessWorker): Result
  /**
   * A handler has blocked the event loop for as long as --process-timeout. Runs within that very handler, so nothing asynchronous
   * goes on meanwhile. Return true to keep the process for as long again, or it is replaced if it is stuck still then.
   */
  processTimeoutHandler?(report: ProcessTimeoutReport): unknown
}

/** The names that an Events file may export. */
const EVENT_NAMES = [
  'onWorkerStart',
  'onConnect',
  'onWebSocketConnect',
  'onMessage',
  'onClose',
  'onWorkerStop',
] as const satisfies readonly (keyof Events)[]

/**
 * Finds the handlers in a loaded module: its named exports, its default object, or its default class with static methods.
 * Throws a TypeError if there is none, since that is a mistake and not a wish.
 */
export function findEvents(module: object): Events {
  const candidates = [module, defaultOf(module), defaultOf(defaultOf(module))]
  const found = candidates.find((candidate) =>
    EVENT_NAMES.some((name) => typeof memberOf(candidate, name) === 'function'),
  )
  if (found === undefined) throw new TypeError(`the Events module has none of ${EVENT_NAMES.join(', ')}`)
  return found as Events
}

/** Exported functions that look like handlers and are none, such as a misspelt onMesage. */
export function findStrangers(events: Events): string[] {
  const names = [...Object.keys(events), ...Object.getOwnPropertyNames(events)]
  return [...new Set(names)].filter(
    (name) =>
      /^on[A-Z]/.test(name) &&
      !(EVENT_NAMES as readonly string[]).includes(name) &&
      typeof memberOf(events, name) === 'function',
  )
}

function memberOf(candidate: unknown, name: string): unknown {
  const holds = typeof candidate === 'function' || (typeof candidate === 'object' && candidate !== null)
  return holds ? (candidate as Record<string, unknown>)[name] : undefined
}

/** A CommonJS module stands one `default` deeper. */
function defaultOf(candidate: unknown): unknown {
  return memberOf(candidate, 'default')
}
