import { LatencyHistogram } from './latency-histogram.mjs'
import { clockUs } from './load-connection.mjs'
import { NumberedMessage } from './load-frame.mjs'

/** Keeps `depth` messages of every connection on their way to the server and back, each connection on its own; `type` is theirs. */
export class EchoLoad {
  latencies = new LatencyHistogram()
  /** Messages that came back since the last `beginMeasuring`. */
  deliveries = 0
  #connections
  #depth
  #isStopped = false
  #message
  #onDrained = undefined
  #received
  #sent
  #sentAtUs

  constructor(connections, { depth, sizeBytes }, type = 'echo') {
    this.#connections = connections
    this.#depth = depth
    this.#message = new NumberedMessage({ type }, sizeBytes)
    this.#received = new Int32Array(connections.length)
    this.#sent = new Int32Array(connections.length)
    this.#sentAtUs = new Int32Array(connections.length * depth)
  }

  start() {
    for (const connection of this.#connections) {
      connection.handler = this
      this.onChunkEnd(connection)
    }
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
    this.#isStopped = true
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
    this.latencies.record((nowUs - this.#sentAtUs[index * this.#depth + (sequence % this.#depth)]) | 0)
  }

  onChunkEnd(connection) {
    if (this.#isStopped) this.#reportDrained()
    else this.#fillUp(connection)
  }

  #fillUp(connection) {
    const { index } = connection
    const first = this.#sent[index]
    const count = this.#depth - (first - this.#received[index])
    if (count === 0) return
    const nowUs = clockUs()
    for (let i = 0; i < count; i++) this.#sentAtUs[index * this.#depth + ((first + i) % this.#depth)] = nowUs
    this.#sent[index] = first + count
    connection.write(this.#message.encodeFrames(index, first, count))
  }

  #reportDrained() {
    if (this.#received.every((count, index) => count === this.#sent[index])) this.#onDrained?.()
  }
}
