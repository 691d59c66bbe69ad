import { WebSocket } from 'ws'

const RECONNECT_MS = 200
/** The chance that a client leaves in place of sending a message, if it does so at all. */
const HANG_UP = 0.003

/**
 * Where clients connect, and how often one of its processes was killed so far.
 *
 * @typedef {{ kills: number, master: number, url: string }} GatewayGroup
 */

/**
 * What a client saw of one connection, from its handshake to its end.
 *
 * @typedef {object} ConnectionRecord
 * @property {{ number: number, redelivered: boolean }[]} answers in the order of arrival
 * @property {string | undefined} clientId as the worker's greeting said it; undefined before
 * @property {'open' | 'killed' | 'cut off' | 'left'} state 'killed' is an end whose reason may be a kill of the gateway, 'left' the client's own
 * @property {number} sent messages 1 to this one were sent
 */

/** A client that sends numbers at a steady rate, and goes back to its gateway whenever its connection ends. */
export class ChaosClient {
  /** @type {ConnectionRecord[]} */
  connections = []
  #everyMs
  #gateway
  #hangsUp
  #isSilent = false
  #socket
  #timer

  /**
   * @param {GatewayGroup} gateway
   * @param {number} everyMs mean time between two messages
   * @param {boolean} hangsUp whether it leaves now and then
   */
  constructor(gateway, everyMs, hangsUp) {
    this.#gateway = gateway
    this.#everyMs = everyMs
    this.#hangsUp = hangsUp
    this.#connect()
  }

  /** How much it has heard on all its connections. */
  get heard() {
    return this.connections.reduce((sum, { answers }) => sum + answers.length, 0)
  }

  /** Whether the present connection has heard anything. */
  get isServed() {
    const connection = this.#present
    return connection !== undefined && (connection.clientId !== undefined || connection.answers.length > 0)
  }

  /** Whether the present connection has heard of everything that it has sent, or there is none any more. */
  get isAnswered() {
    const connection = this.#present
    if (connection === undefined && this.#isSilent) return true
    return this.isServed && new Set(connection?.answers.map(({ number }) => number)).size === connection?.sent
  }

  /** Sends no more. */
  silence() {
    this.#isSilent = true
    clearTimeout(this.#timer)
  }

  /** Ends the connection as a browser does; its record stays as it was. */
  close() {
    this.silence()
    this.#socket.removeAllListeners('close').close(1000)
  }

  get #present() {
    const latest = this.connections.at(-1)
    return latest?.state === 'open' ? latest : undefined
  }

  #connect() {
    /** @type {ConnectionRecord} */
    const connection = { answers: [], clientId: undefined, sent: 0, state: 'open' }
    const killsBefore = this.#gateway.kills
    const socket = new WebSocket(this.#gateway.url)
    this.#socket = socket
    socket.on('open', () => {
      this.connections.push(connection)
      // Without waiting for the greeting, which may be what is lost.
      this.#sendNext(socket, connection, Math.random())
    })
    socket.on('message', (data) => {
      const { clientId, number, redelivered } = JSON.parse(String(data))
      if (number === undefined) connection.clientId = clientId
      else connection.answers.push({ number, redelivered })
    })
    socket.on('error', () => {}) // 'close' follows
    socket.on('close', () => {
      if (connection.state === 'open') connection.state = this.#gateway.kills > killsBefore ? 'killed' : 'cut off'
      clearTimeout(this.#timer)
      if (!this.#isSilent) this.#timer = setTimeout(() => this.#connect(), RECONNECT_MS)
    })
  }

  #sendNext(socket, connection, share) {
    if (this.#isSilent) return
    this.#timer = setTimeout(() => {
      if (this.#hangsUp && Math.random() < HANG_UP) {
        connection.state = 'left'
        socket.close(1000)
        return
      }
      connection.sent += 1
      socket.send(String(connection.sent))
      this.#sendNext(socket, connection, 0.5 + Math.random())
    }, this.#everyMs * share)
  }
}
