import { WebSocket } from 'ws'

/** What a client saw of one connection, from its start to its end. */
export interface ConnectionRecord {
  /** The number of each answer in the order of arrival, and whether it was marked as given again. */
  readonly answers: { number: number; redelivered: boolean }[]
  clientId: string | undefined
  /** The WebSocket's close code; undefined while it is open. */
  closeCode: number | undefined
  readonly gateway: number
  /** Messages 1 to this one were sent. */
  sent: number
}

/** What a client says when it leaves, though nothing is broken. */
export const HANG_UP_CODE = 4000

const RECONNECT_MS = 200
/** The chance that a client leaves in place of sending a message. */
const HANG_UP = 0.003

/** A client that sends numbers at a steady rate, leaves now and then, and makes a new connection whenever the old one has ended. */
export class ChaosClient {
  readonly connections: ConnectionRecord[] = []
  readonly #everyMs: number
  readonly #urls: readonly string[]
  #gateway: number
  #isStopped = false
  #socket: WebSocket | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(urls: readonly string[], gateway: number, everyMs: number) {
    this.#urls = urls
    this.#gateway = gateway
    this.#everyMs = everyMs
    this.#connect()
  }

  /** Whether the latest connection has heard of everything that it has sent, or has ended. */
  get isAnswered(): boolean {
    const connection = this.connections.at(-1)
    if (connection?.closeCode !== undefined) return true
    if (connection?.clientId === undefined) return false
    return new Set(connection.answers.map(({ number }) => number)).size === connection.sent
  }

  /** Sends no more. */
  silence(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  close(): void {
    this.silence()
    this.#socket?.close(1000)
  }

  #connect(): void {
    const connection: ConnectionRecord = {
      answers: [],
      clientId: undefined,
      closeCode: undefined,
      gateway: this.#gateway,
      sent: 0,
    }
    const socket = new WebSocket(this.#urls[this.#gateway]!)
    this.#socket = socket
    socket.on('open', () => this.connections.push(connection))
    socket.on('message', (data) => {
      const { clientId, number, redelivered } = JSON.parse(String(data))
      if (number !== undefined) {
        connection.answers.push({ number, redelivered })
        return
      }
      // A greeting that is given again starts nothing again.
      if (connection.clientId !== undefined) return
      connection.clientId = clientId
      if (!this.#isStopped)
        this.#timer = setTimeout(() => this.#send(socket, connection), Math.random() * this.#everyMs)
    })
    socket.on('error', () => {}) // 'close' follows
    socket.on('close', (code) => {
      connection.closeCode = code
      clearTimeout(this.#timer)
      if (this.#isStopped) return
      if (code !== HANG_UP_CODE) this.#gateway = (this.#gateway + 1) % this.#urls.length
      this.#timer = setTimeout(() => this.#connect(), RECONNECT_MS)
    })
  }

  #send(socket: WebSocket, connection: ConnectionRecord): void {
    if (Math.random() < HANG_UP) {
      socket.close(HANG_UP_CODE)
      return
    }
    connection.sent += 1
    socket.send(String(connection.sent))
    this.#timer = setTimeout(() => this.#send(socket, connection), this.#everyMs * (0.5 + Math.random()))
  }
}
