import { exchange } from './exchange.mjs'
import { LatencyHistogram } from './latency-histogram.mjs'
import { clockUs } from './load-connection.mjs'
import { NumberedMessage } from './load-frame.mjs'

const GROUP = 'g1'

/** One in so many deliveries is compared byte for byte; the others by size and number, which must be the next one. */
const COMPARE_EVERY = 64

/**
 * Puts every connection into one group and keeps `depth` messages to it under way, all sent by connection 0: the next
 * one goes out when every member has the oldest.
 */
export class GroupLoad {
  latencies = new LatencyHistogram()
  /** Messages that arrived at a member since the last `beginMeasuring`. */
  deliveries = 0
  #arrivals
  #complete = 0
  #connections
  #depth
  #isPublishing = false
  #isStopped = false
  #message
  #nextSequence
  #onDrained = undefined
  #published = 0
  #sentAtUs

  constructor(connections, { depth, sizeBytes }) {
    this.#arrivals = new Int32Array(depth)
    this.#connections = connections
    this.#depth = depth
    this.#message = new NumberedMessage({ type: 'group', group: GROUP }, sizeBytes)
    this.#nextSequence = new Int32Array(connections.length)
    this.#sentAtUs = new Int32Array(depth)
  }

  async start() {
    const join = JSON.stringify({ type: 'join', group: GROUP })
    await exchange(this.#connections, join, JSON.stringify({ type: 'joined' }))
    for (const connection of this.#connections) connection.handler = this
    this.#publish()
  }

  beginMeasuring() {
    this.latencies.reset()
    this.deliveries = 0
  }

  /**
   * Publishes nothing more and resolves when every member has everything published.
   *
   * @returns {Promise<void>}
   */
  stop() {
    this.#isStopped = true
    return new Promise((resolve) => {
      this.#onDrained = resolve
      if (this.#complete === this.#published) resolve()
    })
  }

  onMessage({ index }, bytes, start, end, nowUs) {
    const sequence = this.#nextSequence[index]
    if (
      end - start !== this.#message.sizeBytes ||
      this.#message.readSequence(bytes, start) !== sequence ||
      // Connections take turns, so that with 64 of them or more every message is compared somewhere.
      ((sequence + index) % COMPARE_EVERY === 0 && !this.#message.matches(bytes, start, end, 0, sequence))
    ) {
      throw new Error(`Connection ${index}: in place of publish ${sequence}, "${bytes.utf8Slice(start, end)}" came.`)
    }
    this.#nextSequence[index] = sequence + 1
    this.deliveries++
    const slot = sequence % this.#depth
    this.latencies.record((nowUs - this.#sentAtUs[slot]) | 0)
    if (++this.#arrivals[slot] === this.#connections.length) this.#onComplete(slot)
  }

  onChunkEnd() {}

  /** Every member has the message of this slot; publishing waits for the end of the turn, to write once. */
  #onComplete(slot) {
    this.#arrivals[slot] = 0
    this.#complete++
    if (this.#isStopped) {
      if (this.#complete === this.#published) this.#onDrained()
    } else if (!this.#isPublishing) {
      this.#isPublishing = true
      setImmediate(() => this.#publish())
    }
  }

  #publish() {
    this.#isPublishing = false
    if (this.#isStopped) return
    const first = this.#published
    const count = this.#depth - (first - this.#complete)
    const nowUs = clockUs()
    for (let i = 0; i < count; i++) this.#sentAtUs[(first + i) % this.#depth] = nowUs
    this.#published = first + count
    this.#connections[0].write(this.#message.encodeFrames(0, first, count))
  }
}
