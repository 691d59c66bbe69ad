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

/** What is no stranger. */
const KNOWN_NAMES: readonly string[] = [...EVENT_NAMES, 'processTimeoutHandler']

/**
 * Finds the handlers in a loaded module: its named exports, its default object, or its default class with static methods.
 * Throws a TypeError if there is none, since that is a mistake and not a wish.
 */
export function findEvents(module: object): Events {
  const candidates = [module, defaultOf(module), defaultOf(defaultOf(module))]
  const found = candidates.find((candidate) => handlersOf(candidate).length > 0)
  if (found === undefined) throw new TypeError(`the Events module has none of ${EVENT_NAMES.join(', ')}`)
  return found as Events
}

/** What is odd about a loaded Events module. */
export interface EventsMistakes {
  /** The handlers that it has. */
  handlers: string[]
  /** Exported functions that look like handlers and are none, and which one was probably meant. */
  strangers: Stranger[]
}

interface Stranger {
  meant?: string
  name: string
}

/** Which handlers a loaded module has, and what looks like one and is none, such as a misspelt onMesage. */
export function findMistakes(module: object): EventsMistakes {
  const candidates = [module, defaultOf(module), defaultOf(defaultOf(module))]
  const events = candidates.find((candidate) => handlersOf(candidate).length > 0)
  const suspects = events === undefined ? candidates : [events]
  return { handlers: handlersOf(events), strangers: suspects.flatMap(findStrangers) }
}

/** Exported functions that look like handlers and are none; `meant` is a handler that there is none of and whose name is nearly the same. */
export function findStrangers(events: unknown): Stranger[] {
  const isHolder = typeof events === 'function' || (typeof events === 'object' && events !== null)
  if (!isHolder) return []
  const names = [...Object.keys(events), ...Object.getOwnPropertyNames(events)]
  const known = handlersOf(events)
  return [...new Set(names)]
    .filter((name) => typeof memberOf(events, name) === 'function' && !KNOWN_NAMES.includes(name))
    .map((name) => ({ meant: EVENT_NAMES.find((event) => !known.includes(event) && isNearly(name, event)), name }))
    .filter(({ meant, name }) => meant !== undefined || /^on[A-Z]/.test(name))
}

function handlersOf(events: unknown): string[] {
  return EVENT_NAMES.filter((name) => typeof memberOf(events, name) === 'function')
}

/** Whether a name is another but for case, `_` or two letters: onmessage, OnConnect, on_close, onMesage. */
function isNearly(name: string, event: string): boolean {
  const plain = (text: string) => text.replaceAll('_', '').toLowerCase()
  return /^_*on/i.test(name) && distance(plain(name), plain(event)) <= 2
}

/** How many letters have to be put in, taken out or changed to make one of the other. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at)
  for (const [at, letter] of [...one].entries()) {
    const next = [at + 1]
    for (const [to, wanted] of [...other].entries()) {
      next.push(Math.min(next[to]! + 1, row[to + 1]! + 1, row[to]! + (letter === wanted ? 0 : 1)))
    }
    row = next
  }
  return row.at(-1)!
}

function memberOf(candidate: unknown, name: string): unknown {
  const holds = typeof candidate === 'function' || (typeof candidate === 'object' && candidate !== null)
  return holds ? (candidate as Record<string, unknown>)[name] : undefined
}

/** A CommonJS module stands one `default` deeper. */
function defaultOf(candidate: unknown): unknown {
  return memberOf(candidate, 'default')
}
