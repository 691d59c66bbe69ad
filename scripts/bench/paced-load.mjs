import { LatencyHistogram } from './latency-histogram.mjs'
import { clockUs } from './load-connection.mjs'
import { NumberedMessage } from './load-frame.mjs'

/** How often it is looked who has to send: a message may leave so much after its time, which counts as the server's. */
const TICK_MS = 1

/**
 * Every connection sends an echo once in an interval, whether or not the one before has come back: an open loop, in which a slow server is
 * not asked less often. Latencies count from when a message should have left.
 */
export class PacedLoad {
  latencies = new LatencyHistogram()
  /** Messages that came back since the last `beginMeasuring`. */
  deliveries = 0
  #answered = 0
  #connections
  #intervalUs
  #message
  #onDrained = undefined
  #received
  /** How many messages all connections together have sent; they take turns. */
  #sent = 0
  #startUs = 0
  #ticking

  constructor(connections, { intervalMs, sizeBytes }) {
    this.#connections = connections
    this.#intervalUs = intervalMs * 1000
    this.#message = new NumberedMessage({ type: 'echo' }, sizeBytes)
    this.#received = new Int32Array(connections.length)
  }

  start() {
    this.#startUs = clockUs()
    for (const connection of this.#connections) connection.handler = this
    this.#ticking = setInterval(() => this.#onTick(), TICK_MS)
  }

  beginMeasuring() {
    this.latencies.reset()
    this.deliveries = 0
  }

  /**
   * Sends nothing more and resolves when everything sent has come back.
   *
   * @returns {Promise<void>}
   */
  stop() {
    clearInterval(this.#ticking)
    this.#ticking = undefined
    return new Promise((resolve) => {
      this.#onDrained = resolve
      this.#reportDrained()
    })
  }

  onMessage({ index }, bytes, start, end, nowUs) {
    const sequence = this.#received[index]
    if (!this.#message.matches(bytes, start, end, index, sequence)) {
      throw new Error(`Connection ${index}: in place of echo ${sequence}, "${bytes.utf8Slice(start, end)}" came.`)
    }
    this.#received[index] = sequence + 1
    this.deliveries++
    this.#answered++
    this.latencies.record((nowUs - this.#dueAtUs(sequence * this.#connections.length + index)) | 0)
  }

  onChunkEnd() {
    if (this.#ticking === undefined) this.#reportDrained()
  }

  #onTick() {
    const { length } = this.#connections
    const nowUs = clockUs()
    for (; ((nowUs - this.#dueAtUs(this.#sent)) | 0) >= 0; this.#sent++) {
      const index = this.#sent % length
      this.#connections[index].write(this.#message.encodeFrames(index, Math.floor(this.#sent / length), 1))
    }
  }

  #dueAtUs(number) {
    return (this.#startUs + Math.round((number * this.#intervalUs) / this.#connections.length)) | 0
  }

  #reportDrained() {
    if (this.#answered === this.#sent) this.#onDrained?.()
  }
}
