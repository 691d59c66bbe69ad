import { AsyncLocalStorage } from 'node:async_hooks'

/** The client whose event is being handled, as the worker lends it to the push API. */
export interface CurrentClient {
  readonly clientId: string
  /** The API has been told to end the client: its events that wait are not handled any more, but its onClose is. */
  onClosing(): void
  /** The API writes the client's session: the handler sees it at once. Whether its worker's copy awaits the gateway's confirmation. */
  onSessionWritten(kind: 'replace' | 'merge', session: Record<string, unknown>): boolean
}

/** Finds the current client anywhere below a handler, awaits included. */
export const currentClient = new AsyncLocalStorage<CurrentClient>()
