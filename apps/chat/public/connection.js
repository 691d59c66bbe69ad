const pingEveryMs = 20_000
const answerWithinMs = 25_000
const firstPauseMs = 500
const longestPauseMs = 15_000

/** @typedef {'connecting' | 'online' | 'reconnecting' | 'offline'} ConnectionState */

/**
 * A WebSocket of JSON messages that comes back by itself, with growing pauses, until `close()`.
 *
 * A connection counts as online when its user says so with `accept()`: a gateway that takes connections and has nobody to
 * log them in is asked again no more often than one that is gone.
 */
export class Connection {
  /** @type {WebSocket | undefined} */
  #socket
  #url
  #on
  #failures = 0
  #heardAt = 0
  #pingedAt = 0
  /** When the next attempt is due, 0 if none is planned. */
  #retryAt = 0
  /** @type {ConnectionState} */
  #state = 'offline'
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticker

  /**
   * @param {string} url
   * @param {{
   *   onMessage(message: any): void,
   *   onOpen(): void,
   *   onState(state: ConnectionState, retryInS: number): void,
   * }} on `retryInS` is 0 when no attempt is planned or one is under way
   */
  constructor(url, on) {
    this.#url = url
    this.#on = on
    addEventListener('online', () => this.retryNow())
    addEventListener('offline', () => this.#showState())
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.retryNow()
    })
  }

  get isOnline() {
    return this.#state === 'online'
  }

  /** Connects and stays connected. */
  open() {
    this.#ticker ??= setInterval(() => this.#tick(), 500)
    this.#connect()
  }

  /** Leaves for good, until `open()`. */
  close() {
    clearInterval(this.#ticker)
    this.#ticker = undefined
    this.#retryAt = 0
    this.#failures = 0
    this.#drop()
    this.#setState('offline')
  }

  /** The other side has let us in: messages may flow. */
  accept() {
    this.#failures = 0
    this.#setState('online')
  }

  /** @param {object} message */
  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message))
  }

  /** Ends the pause before the next attempt; asks a connection that seems fine whether it is (the machine may have slept). */
  retryNow() {
    if (!this.#ticker) return
    if (this.#retryAt) this.#connect()
    else if (this.isOnline) this.#ping()
  }

  #connect() {
    this.#drop()
    this.#retryAt = 0
    this.#setState(this.#failures === 0 ? 'connecting' : 'reconnecting')
    const socket = new WebSocket(this.#url)
    this.#socket = socket
    this.#heardAt = 0
    this.#pingedAt = Date.now()
    socket.onopen = () => this.#on.onOpen()
    socket.onmessage = ({ data }) => {
      this.#heardAt = Date.now()
      const message = parse(data)
      if (message) this.#on.onMessage(message)
    }
    socket.onclose = () => this.#onLost()
  }

  #onLost() {
    this.#drop()
    const pauseMs = Math.min(firstPauseMs * 2 ** this.#failures, longestPauseMs)
    this.#failures++
    // Between half and all of it, so that a gateway's clients do not come back all at once.
    this.#retryAt = Date.now() + pauseMs * (0.5 + Math.random() / 2)
    this.#setState('reconnecting')
  }

  #drop() {
    if (!this.#socket) return
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null
    this.#socket.close()
    this.#socket = undefined
  }

  #ping() {
    this.#pingedAt = Date.now()
    this.send({ type: 'ping' })
  }

  #tick() {
    const now = Date.now()
    if (this.#retryAt) {
      if (now >= this.#retryAt) this.#connect()
      else this.#showState()
    } else if (this.#heardAt < this.#pingedAt && now - this.#pingedAt > answerWithinMs) {
      // Measured from the question, not from the last word: timers of a hidden page run late.
      this.#onLost()
    } else if (this.isOnline && now - Math.max(this.#heardAt, this.#pingedAt) >= pingEveryMs) {
      this.#ping()
    }
  }

  /** @param {ConnectionState} state */
  #setState(state) {
    this.#state = state
    this.#showState()
  }

  #showState() {
    // The browser's own word on the network decides what is shown, not whether we try: it does not know about 127.0.0.1.
    const state = this.#state === 'reconnecting' && !navigator.onLine ? 'offline' : this.#state
    this.#on.onState(state, this.#retryAt ? Math.max(1, Math.ceil((this.#retryAt - Date.now()) / 1000)) : 0)
  }
}

/** The message, or nothing: what a gateway sends to keep a connection alive (`--ping-data`) need not be JSON. @param {any} data */
function parse(data) {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}
