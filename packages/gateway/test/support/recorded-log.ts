import type { Log } from '@gatewayworker/protocol'
import { Inbox } from './inbox.ts'

export interface LogEntry {
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by what it compares
  details: any
  level: keyof Log
  message: string
}

/** A log that a test can read, and wait for. */
export class RecordedLog implements Log {
  readonly entries: LogEntry[] = []
  readonly #inbox = new Inbox<LogEntry>()

  readonly debug = (details: object, message: string) => this.#add('debug', details, message)
  readonly info = (details: object, message: string) => this.#add('info', details, message)
  readonly warn = (details: object, message: string) => this.#add('warn', details, message)
  readonly error = (details: object, message: string) => this.#add('error', details, message)

  /** All entries so far whose message has this in it. */
  of(part: string): LogEntry[] {
    return this.entries.filter(({ message }) => message.includes(part))
  }

  /** The next entry, after those already waited for, whose message has this in it. */
  next(part: string): Promise<LogEntry> {
    return this.#inbox.find(({ message }) => message.includes(part))
  }

  #add(level: keyof Log, details: object, message: string): void {
    const entry = { details, level, message }
    this.entries.push(entry)
    this.#inbox.push(entry)
  }
}
