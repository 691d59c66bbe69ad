import type { Log } from '@gatewayworker/protocol'
import type { ClientConnection } from './client-connection.ts'
import { CloseCode } from './close-codes.ts'
import type { ClientEvent } from './event-queue.ts'
import type { WorkerPeer } from './worker-peer.ts'

export interface CrashOptions {
  log: Log
  /** Called with each event that is given up. */
  onDeadLetter?(client: ClientConnection, event: ClientEvent, messageId: string): void
  /** An event is given up when so many workers have died with it, with nothing else under way at the last one; 0 for never. */
  poisonLimit: number
}

/** What became of events since the process started. */
export interface EventCounters {
  /** Told again, because the worker that was told before died. */
  redeliveredEvents: number
  /** Given up, because worker after worker died with them. */
  poisonEvents: number
}

/**
 * What a worker was told of a client and is not to acknowledge any more waits again. If the worker has crashed, the oldest event may be why:
 * it is given up after `poisonLimit` crashes, if nothing else was under way at the last one.
 */
export function takeBack(
  client: ClientConnection,
  worker: WorkerPeer,
  options: CrashOptions,
  counters: EventCounters,
): void {
  const { events } = client
  if (events.toldCount === 0) return
  const wasAlone = events.toldBytes === worker.unacknowledgedBytes
  events.forgetTold()
  if (worker.isLeaving) return // it went because it was asked to
  const { poisonLimit } = options
  const oldest = events.oldest!
  oldest.deaths += 1
  if (poisonLimit > 0 && oldest.deaths >= poisonLimit && wasAlone) giveUp(client, oldest, options, counters)
}

/** Makes an event a dead letter, and closes its client: it would miss what was to come of the event. */
function giveUp(
  client: ClientConnection,
  event: ClientEvent,
  { log, onDeadLetter }: CrashOptions,
  counters: EventCounters,
): void {
  const { clientId, events } = client
  const messageId = `${clientId}-${events.handledCount + 1}`
  events.dropOldest()
  counters.poisonEvents += 1
  log.error(
    { clientId, messageId, command: event.command, workersDied: event.deaths },
    'an event is given up, because worker after worker died with it; its client is closed',
  )
  onDeadLetter?.(client, event, messageId)
  client.close(CloseCode.INTERNAL_ERROR, 'an event could not be handled', 'dead_letter')
}
