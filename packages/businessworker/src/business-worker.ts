import { Gateway, GatewayPool, type PooledGateway } from '@gatewayworker/gateway-client'
import { Command, Flag, type Frame, type Log, msgpack, silentLog } from '@gatewayworker/protocol'
import type { ClientFacts } from './context.ts'
import { type Events, findEvents, findStrangers } from './events.ts'
import { ServedClient } from './served-client.ts'
import { setTimerLog, Timer } from './timer.ts'

export interface BusinessWorkerOptions {
  /** The loaded Events module. */
  events: object
  /** Which of the processes of this name it is. Default 0. */
  id?: number
  log?: Log
  /** Default BusinessWorker. */
  name?: string
  registerAddresses: readonly string[]
  secretKey?: string
  /** Output that may wait for one gateway, in bytes, before nothing more is read. Default 10 240 000. */
  sendToGatewayBufferSizeBytes?: number
  /** How long handlers may take to settle at stop, in milliseconds. Default 2 000. */
  stopTimeoutMs?: number
}

const DEFAULT_STOP_TIMEOUT_MS = 2_000

/**
 * A worker process: turns what gateways say about clients into calls on the user's Events.
 *
 * ```
 * start: onWorkerStart ─▶ linked to every gateway ─▶ events
 * stop:  no new events ─▶ handlers settle ─▶ onWorkerStop ─▶ timers deleted ─▶ links flushed and ended
 * ```
 */
export class BusinessWorker {
  readonly id: number
  readonly name: string
  readonly #events: Events
  readonly #log: Log
  readonly #options: BusinessWorkerOptions
  readonly #served = new Map<PooledGateway, Map<number, ServedClient>>()
  #isStopping = false
  #onIdle: (() => void) | undefined
  #pool: GatewayPool | undefined
  #runningHandlers = 0

  /** Throws a TypeError if `events` has no handler at all. */
  constructor(options: BusinessWorkerOptions) {
    const { events, id = 0, log = silentLog, name = 'BusinessWorker' } = options
    this.id = id
    this.name = name
    this.#events = findEvents(events)
    this.#log = log
    this.#options = options
    for (const name of findStrangers(this.#events)) log.warn({ name }, `Events has ${name}, which is no event`)
  }

  /** Runs onWorkerStart, which may use the push API already, then serves. Rejects if onWorkerStart does. */
  async start(): Promise<void> {
    const { registerAddresses, secretKey, sendToGatewayBufferSizeBytes } = this.#options
    process.on('unhandledRejection', this.#onUnhandledRejection)
    setTimerLog(this.#log)
    // Gateways hand clients to whoever is linked as a worker. Until this one serves, it pushes with links of any backend's kind.
    Gateway.registerAddress = registerAddresses
    Gateway.secretKey = secretKey ?? ''
    await this.#events.onWorkerStart?.(this)
    if (this.#isStopping) return
    this.#pool = new GatewayPool({
      bufferSizeBytes: sendToGatewayBufferSizeBytes,
      log: this.#log,
      onDown: (gateway) => this.#served.delete(gateway),
      onFrame: this.#onGatewayFrame,
      registerAddresses,
      role: { kind: 'worker', workerKey: `${this.name}:${this.id}` },
      secretKey,
    })
    Gateway.usePool(this.#pool)
  }

  /** Lets the handlers that run settle, then runs onWorkerStop and ends. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#whenIdle()
    try {
      await this.#events.onWorkerStop?.(this)
    } catch (err) {
      this.#log.error({ event: 'onWorkerStop', err }, 'a handler threw')
    }
    Timer.delAll()
    this.#pool?.close()
    Gateway.usePool(undefined)
    Gateway.close()
    process.off('unhandledRejection', this.#onUnhandledRejection)
  }

  readonly #onGatewayFrame = (frame: Frame, gateway: PooledGateway): void => {
    const { command, connectionId } = frame
    // The links are still read, since handlers may wait for answers.
    if (this.#isStopping && command !== Command.SESSION_CHANGED) return
    if (command === Command.CLIENT_CONTEXT) {
      this.#onClientContext(frame, gateway)
      return
    }
    const clients = this.#served.get(gateway)
    const client = clients?.get(connectionId)
    if (client === undefined) return
    switch (command) {
      case Command.ON_MESSAGE:
        client.onEvent({ bytes: frame.bodyLength, command, payload: readMessage(frame) })
        break
      case Command.SESSION_CHANGED:
        client.onSessionChanged(frame.ext, (frame.flag & Flag.OWN_CHANGE) !== 0)
        break
      case Command.ON_WEBSOCKET_CONNECT:
        client.onEvent({ bytes: frame.bodyLength, command, payload: msgpack.decode(frame.body) })
        break
      case Command.ON_CLOSE:
        clients?.delete(connectionId)
        client.onEvent({ bytes: 0, command, payload: undefined })
        break
      case Command.ON_CONNECT:
        client.onEvent({ bytes: 0, command, payload: undefined })
    }
  }

  #onClientContext(frame: Frame, gateway: PooledGateway): void {
    const origin = msgpack.decode(frame.body) as ClientFacts
    const client = new ServedClient(gateway, frame.connectionId, origin, frame.ext, this.#surroundings)
    const clients = this.#served.get(gateway)
    if (clients === undefined) this.#served.set(gateway, new Map([[frame.connectionId, client]]))
    else clients.set(frame.connectionId, client)
  }

  get #surroundings() {
    return { events: this.#events, log: this.#log, onHandler: this.#onHandler }
  }

  readonly #onHandler = (change: 1 | -1): void => {
    this.#runningHandlers += change
    if (this.#runningHandlers === 0) this.#onIdle?.()
  }

  async #whenIdle(): Promise<void> {
    if (this.#runningHandlers === 0) return
    const { stopTimeoutMs = DEFAULT_STOP_TIMEOUT_MS } = this.#options
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#log.warn({ handlers: this.#runningHandlers, stopTimeoutMs }, 'handlers did not settle in time')
        resolve()
      }, stopTimeoutMs)
      this.#onIdle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** A promise that the user's code let go of: it is reported, and the worker lives. */
  readonly #onUnhandledRejection = (err: unknown): void => {
    this.#log.error({ err }, 'a promise that nobody waited for was rejected')
  }
}

function readMessage(frame: Frame): string | Buffer {
  return (frame.flag & Flag.BINARY) === 0 ? frame.bodyText : Buffer.from(frame.body)
}
