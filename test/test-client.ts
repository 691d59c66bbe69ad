import { once } from 'node:events'
import WebSocket from 'ws'
import { within } from './deadline.ts'

/** How a connection ended, as the client saw it. */
export interface Closing {
  code: number
  reason: string
}

/** A client as a page or device is one, with an inbox: messages wait in it until a test asks for them. */
export class TestClient {
  /** Resolves when the connection has ended. */
  readonly closed: Promise<Closing>
  readonly socket: WebSocket
  /** As the fixture's greeting says it; see fixtures/remote-control.ts. */
  clientId = ''
  /** The port that it connects from. */
  localPort = 0
  /** The process id of the worker that greeted it. */
  workerPid = 0
  #closing: Closing | undefined
  #inbox: (string | Buffer)[] = []
  #wake: (() => void) | undefined

  constructor(url: string, options: WebSocket.ClientOptions = {}) {
    this.socket = new WebSocket(url, options)
    this.socket.on('message', this.#onMessage)
    this.socket.on('upgrade', ({ socket }) => {
      this.localPort = socket.localPort ?? 0
    })
    // A connection that breaks ends with `close`, which says all that a test wants to know.
    this.socket.on('error', () => {})
    this.closed = this.#whenClosed()
  }

  /** How many messages wait in the inbox. */
  get waiting(): number {
    return this.#inbox.length
  }

  /** Connects, and resolves when the handshake is done. */
  static async open(url: string, options?: WebSocket.ClientOptions): Promise<TestClient> {
    const client = new TestClient(url, options)
    const refused = client.closed.then(() => Promise.reject(new Error(`${url} took no connection`)))
    await within(Promise.race([once(client.socket, 'open'), refused]), `a connection to ${url}`)
    return client
  }

  /** A string or object (as JSON) goes as text, a Buffer as a binary message. */
  send(message: string | Buffer | object): void {
    const isPlain = typeof message === 'string' || Buffer.isBuffer(message)
    this.socket.send(isPlain ? message : JSON.stringify(message))
  }

  /** The next message: a string for text, a Buffer for binary. Rejects when the connection ends before one has come. */
  async next(): Promise<string | Buffer> {
    if (this.#inbox.length === 0) {
      const arrived = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      await within(Promise.race([arrived, this.closed]), `a message for ${this.clientId || 'a client'}`)
    }
    const message = this.#inbox.shift()
    if (message === undefined) throw new Error(`no message: closed with ${JSON.stringify(this.#closing)}`)
    return message
  }

  /** The next message, which is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by what it compares
  async nextJson(): Promise<any> {
    return JSON.parse(String(await this.next()))
  }

  /** The next messages, in their order. */
  async take(count: number): Promise<(string | Buffer)[]> {
    const messages: (string | Buffer)[] = []
    while (messages.length < count) messages.push(await this.next())
    return messages
  }

  /** Puts messages in front of those that wait. */
  putBack(messages: readonly (string | Buffer)[]): void {
    this.#inbox.unshift(...messages)
  }

  /** Says goodbye and resolves when the other side has, too. */
  async close(): Promise<Closing> {
    this.socket.close()
    return within(this.closed, 'the end of a connection')
  }

  /** Resolves when the other side has ended the connection. */
  async isClosed(): Promise<Closing> {
    return within(this.closed, 'the end of a connection by the other side')
  }

  readonly #onMessage = (data: WebSocket.RawData, isBinary: boolean): void => {
    this.#inbox.push(isBinary ? (data as Buffer) : data.toString())
    this.#wake?.()
  }

  async #whenClosed(): Promise<Closing> {
    const [code, reason] = await once(this.socket, 'close')
    this.#closing = { code, reason: String(reason) }
    return this.#closing
  }
}
