import { setTimeout as after } from 'node:timers/promises'
import { Gateway, GatewayPool, type PooledGateway } from '@gatewayworker/gateway-client'
import { type Credentials, credentialsOf, type Log, silentLog, withTimes } from '@gatewayworker/protocol'
import { AbsentGateways } from './absent-gateways.ts'
import { Acknowledger } from './acknowledger.ts'
import { EventTimeout } from './event-timeout.ts'
import { type Events, findEvents, findStrangers } from './events.ts'
import type { WorkerSurroundings } from './served-client.ts'
import { ServedGateway } from './served-gateway.ts'
import { resumeWorkerTimers, setTimerLog, suspendWorkerTimers, Timer } from './timer.ts'

export interface BusinessWorkerOptions extends Credentials {
  /** The loaded Events module. */
  events: object
  /** How long a handler may take to settle, in milliseconds, until its client is closed (`handler_timeout`); 0 for any time. Default 60 000. */
  eventTimeoutMs?: number
  /** How long no register may know a gateway, in milliseconds, until its clients count as gone. Default 30 000. */
  gatewayLostTimeoutMs?: number
  /** Which of the processes of this name it is. Default 0. */
  id?: number
  /** How long a gateway or register may be silent until the link to it has ended, in milliseconds. Default 45 000. */
  linkTimeoutMs?: number
  log?: Log
  /** Default BusinessWorker. */
  name?: string
  registerAddresses: readonly string[]
  /** Output that may wait for one gateway, in bytes; as much again may wait half a second for room. Default 10 240 000. */
  sendToGatewayBufferSizeBytes?: number
  /** How long handlers may take at stop to settle all that has come, in milliseconds. Default 2 000. */
  stopTimeoutMs?: number
}

/** What a worker process does, in counts. */
export interface WorkerStats {
  /** Bytes that wait to be sent to gateways. */
  bufferedBytes: number
  /** Clients that it serves. */
  connections: number
  /** Events that it has handled. */
  requests: number
  /** Commands that it gave to gateways, each counted for each of them. */
  sends: number
}

const DEFAULT_EVENT_TIMEOUT_MS = 60_000
const DEFAULT_GATEWAY_LOST_TIMEOUT_MS = 30_000
const DEFAULT_STOP_TIMEOUT_MS = 2_000
/** How long a gateway may take to let this worker go, or to take its last acknowledgements. */
const LEAVE_TIMEOUT_MS = 1_000
/** A gateway that cannot be reached, or a register that is not there yet, does not hold up the start for longer. */
const LINKED_TIMEOUT_MS = 2_000

/**
 * A worker process: turns what gateways say about clients into calls on the user's Events.
 *
 * ```
 * start:    onWorkerStart ─▶ linked to every gateway ─▶ events
 * stop:     gateways tell nothing new ─▶ what has come is handled and acknowledged ─▶ onWorkerStop ─▶ timers deleted ─▶ links ended
 * handOver: the same without the end of the links; if Events has no onWorkerStop, only the worker's timers stop, and it serves on
 * ```
 */
export class BusinessWorker {
  readonly id: number
  readonly name: string
  /** What is odd about Events, in words. */
  readonly warnings: string[] = []
  readonly #counters = { handledEvents: 0 }
  readonly #events: Events
  readonly #eventTimeout: EventTimeout
  readonly #log: Log
  readonly #options: BusinessWorkerOptions
  readonly #absent: AbsentGateways
  readonly #acknowledger = new Acknowledger(() => this.#pool?.written())
  readonly #served = new Map<PooledGateway, ServedGateway>()
  readonly #surroundings: WorkerSurroundings
  #finished: Promise<void> | undefined
  #isStopping = false
  #onIdle: (() => void) | undefined
  #pool: GatewayPool | undefined
  #runningHandlers = 0

  /** Throws a TypeError if `events` has no handler at all. */
  constructor(given: BusinessWorkerOptions) {
    const options = withTimes(given)
    const { events, id = 0, log = silentLog, name = 'BusinessWorker' } = options
    const { eventTimeoutMs = DEFAULT_EVENT_TIMEOUT_MS, gatewayLostTimeoutMs = DEFAULT_GATEWAY_LOST_TIMEOUT_MS } =
      options
    this.id = id
    this.name = name
    this.#events = findEvents(events)
    this.#log = log
    this.#options = options
    this.#eventTimeout = new EventTimeout(eventTimeoutMs)
    this.#surroundings = {
      counters: this.#counters,
      events: this.#events,
      eventTimeout: this.#eventTimeout,
      log,
      onHandler: this.#onHandler,
      unfinished: new Map(),
    }
    this.#absent = new AbsentGateways({
      isOnline: (address) => this.#pool?.isOnline(address),
      log,
      lostAfterMs: gatewayLostTimeoutMs,
    })
    for (const { meant, name } of findStrangers(this.#events)) {
      const hint = meant === undefined ? '' : `; did you mean ${meant}?`
      this.#warn(`Events has ${name}, which is no event${hint}`)
    }
  }

  /**
   * Runs onWorkerStart, which may use the push API already, then serves; resolves when linked to every gateway, or two seconds later. Rejects
   * if onWorkerStart does; then nothing is left open.
   */
  async start(): Promise<void> {
    process.on('unhandledRejection', this.#onUnhandledRejection)
    try {
      await this.#start()
    } catch (error) {
      await this.#letGo()
      throw error
    }
  }

  async #start(): Promise<void> {
    const {
      allowLegacy = false,
      linkTimeoutMs,
      registerAddresses,
      secretKey = '',
      sendToGatewayBufferSizeBytes,
      tls,
    } = this.#options
    setTimerLog(this.#log)
    // Gateways hand clients to whoever is linked as a worker. Until this one serves, it pushes with links of any backend's kind.
    Gateway.registerAddress = registerAddresses
    Gateway.secretKey = secretKey
    Gateway.allowLegacy = allowLegacy
    Gateway.tls = tls
    Gateway.log = this.#log
    Gateway.retryAfterMs = 0 // the register may be starting, too
    const openPorts = countOpenPorts()
    await this.#events.onWorkerStart?.(this)
    if (this.#isStopping) return
    if (this.#events.onWorkerStop === undefined && countOpenPorts() > openPorts) {
      this.#warn('onWorkerStart listens on a port that no onWorkerStop closes: a reload will find it in use')
    }
    this.#pool = new GatewayPool({
      ...credentialsOf(this.#options),
      bufferSizeBytes: sendToGatewayBufferSizeBytes,
      linkTimeoutMs,
      log: this.#log,
      onDown: this.#onDown,
      onFrame: (frame, gateway) => this.#served.get(gateway)?.onFrame(frame),
      onUp: this.#onUp,
      registerAddresses,
      role: { kind: 'worker', workerKey: `${this.name}:${this.id}` },
    })
    Gateway.usePool(this.#pool)
    this.#eventTimeout.start()
    await this.#pool.whenLinked(LINKED_TIMEOUT_MS)
  }

  /** Why it is not linked to every gateway that the registers tell, in words; none if it is. */
  problems(): string[] {
    return this.#pool?.problems ?? ['it has not started']
  }

  /** What there is now, and what happened since the start. */
  stats(): WorkerStats {
    const served = [...this.#served.values()]
    return {
      bufferedBytes: this.#pool?.bufferedBytes ?? 0,
      connections: served.reduce((sum, { clientCount }) => sum + clientCount, 0),
      requests: this.#counters.handledEvents,
      sends: this.#pool?.toldOrders ?? 0,
    }
  }

  /** Takes no more, finishes what has come, then runs onWorkerStop and ends; handlers may take `timeoutMs` (Infinity: as long as they need). */
  async stop(timeoutMs = this.#options.stopTimeoutMs ?? DEFAULT_STOP_TIMEOUT_MS): Promise<void> {
    await this.#finish(timeoutMs)
    await this.#letGo()
  }

  /**
   * Lets go of what only one process may have: when this resolves, the worker that is to take its place may run its onWorkerStart. Rejects if a
   * timer's function has not settled in time. `stop` or `takeBack` has to follow.
   */
  async handOver(timeoutMs: number): Promise<void> {
    // What a handler needs is there for as long as it runs: what onWorkerStop ends must not be missed by handlers that begin later.
    if (this.#events.onWorkerStop !== undefined) {
      await this.#finish(timeoutMs)
      Timer.delAll()
    }
    await suspendWorkerTimers(timeoutMs)
  }

  /** Nobody has taken its place: serves on, by a worker that has to be used from now on. Rejects if onWorkerStart does. */
  async takeBack(): Promise<BusinessWorker> {
    resumeWorkerTimers()
    if (this.#finished === undefined) return this
    const worker = new BusinessWorker(this.#options)
    await worker.start()
    await this.#close() // not before, since gateways let clients wait for as long as a worker that leaves is linked
    return worker
  }

  #warn(warning: string): void {
    this.warnings.push(warning)
    this.#log.warn({}, warning)
  }

  /** Once, whoever asks first. */
  #finish(timeoutMs: number): Promise<void> {
    this.#finished ??= this.#leaveAndFinish(timeoutMs)
    return this.#finished
  }

  async #leaveAndFinish(timeoutMs: number): Promise<void> {
    this.#isStopping = true
    await Promise.all(Array.from(this.#served.values(), (served) => this.#leave(served)))
    this.#absent.close()
    await this.#whenIdle(timeoutMs)
    this.#eventTimeout.stop()
    // A gateway that takes nothing any more does not hold up the stop.
    await Promise.race([this.#acknowledger.flush(), after(LEAVE_TIMEOUT_MS, undefined, { ref: false })])
    try {
      await this.#events.onWorkerStop?.(this)
    } catch (err) {
      this.#log.error({ event: 'onWorkerStop', err }, 'a handler threw')
    }
  }

  async #letGo(): Promise<void> {
    Timer.delAll()
    resumeWorkerTimers()
    Gateway.usePool(undefined)
    await Promise.all([this.#close(), Gateway.close(LEAVE_TIMEOUT_MS)])
  }

  /** What was sent is written first, as far as gateways take it: the process may end right after this. */
  async #close(): Promise<void> {
    await this.#pool?.close(LEAVE_TIMEOUT_MS)
    process.off('unhandledRejection', this.#onUnhandledRejection)
  }

  readonly #onUp = (gateway: PooledGateway, instance: string | undefined): void => {
    const served = new ServedGateway(gateway, instance, this.#acknowledger, this.#surroundings)
    this.#served.set(gateway, served)
    this.#absent.onUp(gateway.address, instance)
    if (this.#isStopping) void this.#leave(served)
  }

  readonly #onDown = (gateway: PooledGateway): void => {
    const served = this.#served.get(gateway)
    if (served === undefined) return
    this.#served.delete(gateway)
    served.onDown()
    this.#absent.add(served)
  }

  /** Resolves when nothing new comes from a gateway, also if that is so because it does not answer. */
  async #leave(served: ServedGateway): Promise<void> {
    try {
      await served.leave(LEAVE_TIMEOUT_MS)
    } catch (err) {
      this.#log.debug({ gateway: served.address, err }, 'a gateway did not let go')
    }
  }

  readonly #onHandler = (change: 1 | -1): void => {
    this.#runningHandlers += change
    if (this.#runningHandlers === 0) this.#onIdle?.()
  }

  async #whenIdle(timeoutMs: number): Promise<void> {
    if (this.#runningHandlers === 0) return
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
    const deadline = Number.isFinite(timeoutMs)
      ? after(timeoutMs, undefined, { ref: false })
      : new Promise<void>(() => {})
    await Promise.race([idle, deadline])
    if (this.#runningHandlers === 0) return
    this.#log.warn({ handlers: this.#runningHandlers, timeoutMs }, 'handlers did not settle in time')
  }

  /** A promise that the user's code let go of: it is reported, and the worker lives. */
  readonly #onUnhandledRejection = (err: unknown): void => {
    this.#log.error({ err }, 'a promise that nobody waited for was rejected')
  }
}

/** On how many TCP ports this process listens. */
function countOpenPorts(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap').length
}
