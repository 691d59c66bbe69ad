import type { Logger } from 'pino'
import type { Examination } from './doctor/examination.ts'
import type { OptionType } from './option-types.ts'

type DefaultValue = boolean | number | string | readonly string[]

/** One option of an app: `default` is written as a user would write it, undefined for an option that may stay unset. */
export interface Option<T = unknown> {
  /** One letter for its flag. */
  alias?: string
  default?: DefaultValue
  describe: string
  /** What an empty environment variable would switch off without a word: it is refused, unless another option of the same is given. Any other empty one is as not given. */
  emptyWouldDisable?: string
  /** Whether it is read from the command line only: what is for one call is not for the environment or a file. */
  flagOnly?: boolean
  /** Whether a start without it is refused. */
  required?: boolean
  type: OptionType<T>
}

/** An app's options by their name in kebab-case: `start-port` is --start-port, GW_START_PORT and startPort in a config file. */
export type OptionTable = Record<string, Option>

/** The values that an option table yields, by the same kebab-case names; one without a default or `required` may be undefined. */
export type OptionValues<Table extends OptionTable> = {
  [Name in keyof Table]:
    | (Table[Name] extends Option<infer T> ? T : never)
    | (Table[Name] extends { default: DefaultValue } | { required: true } ? never : undefined)
}

/** A port that a process listens on, and the options that change it: for the one line that says why a start failed. */
export interface ListenOption {
  host: string
  hostOption: string
  port: number
  portOption: string
}

/** What the child's half gives to an app's `start`. */
export interface AppContext {
  /** Which process of its group this is, from 0. */
  index: number
  /** Writes lines that name the process and its index. */
  log: Logger
  /**
   * Imports a user's module, TypeScript or JavaScript, in the format its extension and nearest package.json say. It and what
   * it imports get the running copy of the packages in `provide` (specifier to file URL). A syntax error is a UsageError.
   */
  loadModule(file: string, provide?: Record<string, string>): Promise<unknown>
  /** The name of its group. */
  name: string
  /** From now on, a change of a file that `loadModule` loaded ends this process and starts a new one in its place. */
  restartOnChange(): void
  /**
   * Resolves when this is the only process of its place: at a reload, when the one before has handed over. To be awaited between what only
   * loads and checks and what only one process may do.
   */
  whenPlaceIsFree(): Promise<void>
}

/** What an app's `examine` is given, in a process of its own that ends after it. */
export interface ExamineContext extends Pick<AppContext, 'loadModule' | 'name'> {
  /** Whether a process of the same cluster on this host is going to listen at this `HOST:PORT`; of a URL it is not known. */
  startsHere(address: string): boolean
}

/** What a process says of itself for `status`; it leaves out what it has none of. */
export interface ProcessStats {
  /** Bytes that wait to be sent, to whomever. */
  bufferedBytes?: number
  /** Connections that are open now: clients of a gateway, links of a worker or register. */
  connections?: number
  /** Messages that a slow client never got, where what does not fit is dropped. */
  droppedMessages?: number
  /** Messages of clients that sent more than they may, where what is too much is dropped. */
  droppedRequests?: number
  /** Clients that were closed because their token has expired. */
  expiredClients?: number
  /** Clients that were taken for gone, because nothing was heard of them. */
  idleClients?: number
  /** Clients that sent more than they may, each counted once. */
  limitedClients?: number
  /** Clients that are not read at the moment, because their worker takes no more or they have sent too much. */
  pausedClients?: number
  /** Events that were given up, because worker after worker died with them. */
  poisonEvents?: number
  /** Events that were told to another worker, because the first one died. */
  redeliveredEvents?: number
  /** Connections that were not let in, by the reason. */
  refused?: Readonly<Record<string, number>>
  /** Connections that were not let in. */
  refusedConnections?: number
  /** Messages that came in since its start: from clients to a gateway, events to a worker. */
  requests?: number
  /** Messages that went out since its start: to clients from a gateway, commands from a worker. */
  sends?: number
  /** Clients that read too slowly since its start, each counted once for every time its output went beyond the bound. */
  slowClients?: number
}

/** Which connections are asked for: those that fit all that is given, from `offset` on, at most `limit` (0: only the total). */
export interface ConnectionsQuery {
  group?: string
  /** The client's address without its port. */
  ip?: string
  limit: number
  offset: number
  uid?: string
}

/** One client's connection, for `connections`. */
export interface ConnectionRow {
  /** `IP:PORT` of the client, `[IP]:PORT` for IPv6. */
  address: string
  bytesIn: number
  bytesOut: number
  clientId: string
  /** `HOST:PORT` of the gateway's LAN port. */
  gateway: string
  /** How many groups it is in. */
  groups: number
  /** Since the client's last message. */
  idleMs: number
  /** Absent when it is bound to none. */
  uid?: string
  /** Name and address of the worker that serves it; absent when none does. */
  worker?: string
}

/** Some of the connections that fit a query, and how many fit in all. */
export interface ConnectionsPage {
  rows: ConnectionRow[]
  total: number
}

/** Which dead letters are to be delivered again: their message ids, or 'all'. */
export interface DeadLettersQuery {
  replay: readonly string[]
}

/** An event that was given up, for `dead-letters`; with --json it has all that is kept of it. */
export interface DeadLetterRow {
  event: string
  messageId: string
  /** Its message, cut where it is long. */
  payload: string
  /** When it was given up, in ISO 8601. */
  time: string
  uid?: string
  workersDied: number
}

/** The dead letters that a process knows, and what came of those that it was to deliver again. */
export interface DeadLettersAnswer {
  letters: DeadLetterRow[]
  /** Message id → why it could not be delivered again. */
  refused: Record<string, string>
  replayed: string[]
}

/** An app that has started. */
export interface RunningApp {
  /** The clients that are connected to this process, always in the same order; without it the app has no clients. */
  connections?(query: ConnectionsQuery): ConnectionsPage | Promise<ConnectionsPage>
  /** Events that were given up; delivers some of them again before. */
  deadLetters?(query: DeadLettersQuery): DeadLettersAnswer
  /** More for the "ready" line in the log. */
  details?: object
  /** What `doctor` asks a process that runs: proves that it can reach whom it needs, and be reached, within 9 s. */
  examine?(): Promise<Examination>
  /**
   * Another process is to take its place: lets go, within `timeoutMs`, of what only one may have (ports, timers), and may serve on otherwise.
   * It is killed if it does not. `stop` follows, or `takeBack` if the other process did not start.
   */
  handOver?(timeoutMs: number): Promise<void>
  /** What it listens on, for the table and the "ready" line. */
  listen?: string
  /** What keeps it from being found and reached by those who need it, in words, within a second; without it, nothing does. */
  problems?(): Promise<string[]> | string[]
  /** What it counts, for the table of `status`; asked once a second at most while somebody looks. */
  stats?(): ProcessStats
  /** Ends everything it does; the process exits when it resolves, and is killed after `timeoutMs` (Infinity: never). */
  stop(timeoutMs: number): Promise<void>
  /** Has again what it handed over; it is killed, and started again, if it cannot. */
  takeBack?(): Promise<void>
  /** What is odd about its options or its code, in words, for whoever started it; it is in the log as well. */
  warnings?: readonly string[]
}

/** A kind of process: its options and how it starts. */
export interface App<Table extends OptionTable = OptionTable> {
  /** The npm script that starts it alone, for --help. */
  command: string
  describe: string
  /** What `doctor` does where it does not run: finds out, within 9 s, what would go wrong at a start; ports are looked at besides. */
  examine?(options: OptionValues<Table>, context: ExamineContext): Promise<Examination>
  /** `import.meta.url` of the module whose default export this is: the child imports it. */
  module: string
  /** The name of its group, unless the app has an option `name` that says another. */
  name: string
  /** An option `count`, when there is one, says how many processes a group has. */
  options: Table
  /** Whether a reload replaces its processes, each new one being ready before the old one stops: those that run users' code. */
  reloadable?: boolean
  /** The ports that a process is going to listen on. */
  ports?(options: OptionValues<Table>, index: number): ListenOption[]
  /** `host:port` that all processes of a group accept connections on together; without it none of its ports is shared. */
  sharedListen?(options: OptionValues<Table>): string
  /** Runs in the child; a rejection ends it. */
  start(options: OptionValues<Table>, context: AppContext): Promise<RunningApp>
}

/** Defines a kind of process; the identity function, for the types of its options. */
export function defineApp<Table extends OptionTable>(app: App<Table>): App<Table> {
  return app
}
