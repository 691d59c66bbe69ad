import { currentClient } from '@gatewayworker/gateway-client'
import { findEvents } from './events.ts'

/** What processTimeoutHandler is told. */
export interface ProcessTimeoutReport {
  /** For how long the event loop has been blocked at least, in milliseconds. */
  blockedMs: number
  /** The client whose event is being handled; absent in timers, onWorkerStart and onWorkerStop. */
  clientId?: string
  /** Where it is stuck: lines as in an Error's stack. */
  stack: string
}

/** The client whose event the code that runs at the moment handles, if there is one. */
export function describeCurrentEvent(): Pick<ProcessTimeoutReport, 'clientId'> {
  return { clientId: currentClient.getStore()?.clientId }
}

/** Calls the processTimeoutHandler of a loaded Events module, if it has one, and returns what that returns. */
export function callProcessTimeoutHandler(events: object, report: ProcessTimeoutReport): unknown {
  return findEvents(events).processTimeoutHandler?.(report)
}
