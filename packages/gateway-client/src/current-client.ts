import { AsyncLocalStorage } from 'node:async_hooks'

/** The client whose event is being handled, as the worker lends it to the push API. */
export interface CurrentClient {
  readonly clientId: string
  /** The API has been told to end the client: its events that wait are not handled any more, but its onClose is. */
  onClosing(): void
  /** The API has written the client's session: the handler sees it at once. */
  onSessionWritten(kind: 'replace' | 'merge', session: Record<string, unknown>): void
}

/** Finds the current client anywhere below a handler, awaits included. */
export const currentClient = new AsyncLocalStorage<CurrentClient>()
