import { totalmem } from 'node:os'
import type { Log } from '@gatewayworker/protocol'
import type { ClientConnection, ClientCounters } from './client-connection.ts'
import { CloseCode } from './close-codes.ts'
import { LogThrottle } from './log-throttle.ts'

export interface HoldingsOptions {
  counters: ClientCounters
  log: Log
  /** What may be kept for all clients together, in bytes; 0 for any. */
  maxBufferedBytes: number
  /** How long a message may take from its first byte to its last, in milliseconds; 0 for ever. */
  messageTimeoutMs: number
}

/** How often it is looked at what is kept, in milliseconds. */
const CHECK_MS = 500
/** How much is let go of when there is too much: down to this part of what may be. */
const LOW = 0.9

/** A quarter of the memory that this host, or container, has. */
export function defaultMaxBufferedBytes(): number {
  const constrained = process.constrainedMemory() || Number.POSITIVE_INFINITY
  return Math.floor(Math.min(totalmem(), constrained) / 4)
}

/**
 * What is kept for clients: messages that are not whole, events that are not handled, output that waits. Looks after those who take too long for
 * a message, and after all of them together: when they keep too much, those who keep most go first.
 *
 * Invariant: every client for whom something is kept has been noted; those for whom nothing is cost nothing.
 */
export class Holdings {
  readonly #clients = new Set<ClientConnection>()
  readonly #options: HoldingsOptions
  readonly #throttle = new LogThrottle()
  #checkedAt = 0

  constructor(options: HoldingsOptions) {
    this.#options = options
  }

  /** Something is kept for a client from now on. */
  note(client: ClientConnection): void {
    if (client.isNoted) return
    client.isNoted = true
    this.#clients.add(client)
  }

  /** To be called every now and then. */
  check(now: number): void {
    const passedMs = now - this.#checkedAt
    if (passedMs < CHECK_MS) return
    this.#checkedAt = now
    const { maxBufferedBytes } = this.#options
    let bytes = 0
    for (const client of this.#clients) {
      this.#checkMessage(client, now, passedMs)
      const kept = client.hasLeft ? 0 : client.keptBytes
      bytes += kept
      if (kept > 0) continue
      client.isNoted = false
      this.#clients.delete(client)
    }
    // Clients that wait for the same broadcast share its bytes, which are counted for each: what the process really has says so.
    if (maxBufferedBytes > 0 && bytes > maxBufferedBytes && usedBytes() > maxBufferedBytes) this.#letGo(bytes)
  }

  #checkMessage(client: ClientConnection, now: number, passedMs: number): void {
    const { counters, log, messageTimeoutMs } = this.#options
    if (messageTimeoutMs === 0 || client.hasLeft || client.heldBytes === 0) return
    if (client.waitsForUs) client.unfinishedSince += passedMs // what we do not read cannot go on
    if (now - client.unfinishedSince < messageTimeoutMs) return
    log.debug({ clientId: client.clientId, messageTimeoutMs }, 'a message has no end in time; its client is closed')
    counters.protocolErrors += 1
    client.close(CloseCode.MESSAGE_TIMEOUT, 'message takes too long', 'protocol_error')
  }

  #letGo(bytes: number): void {
    const { counters, log, maxBufferedBytes } = this.#options
    let left = bytes
    let clients = 0
    const largestFirst = [...this.#clients].sort((one, other) => other.keptBytes - one.keptBytes)
    for (const client of largestFirst) {
      if (left <= maxBufferedBytes * LOW) break
      left -= client.keptBytes
      clients += 1
      client.closeForMemory()
    }
    counters.memoryClients += clients
    if (this.#throttle.add() > 0) {
      log.warn({ bytes, clients, maxBufferedBytes }, 'clients keep too much together; those who keep most are closed')
    }
  }
}

function usedBytes(): number {
  const { external, heapUsed } = process.memoryUsage()
  return external + heapUsed
}
