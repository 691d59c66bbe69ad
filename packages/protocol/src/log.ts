/** Where a package writes what happened; a pino logger is one. */
export interface Log {
  debug(details: object, message: string): void
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

const ignore = () => {}

/** The log of a program that gave none. */
export const silentLog: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore }
