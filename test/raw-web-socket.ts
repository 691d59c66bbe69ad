import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { within } from './deadline.ts'
import { RawConnection } from './raw-connection.ts'
import { encodeFrame, type FrameParts, type ServerFrame, ServerFrameReader } from './websocket-frame.ts'

/** How bytes are cut into writes: in one piece, frame by frame, pieces of so many bytes, or at these places. */
export type Chop = undefined | 'frame' | number | readonly number[]

/** The key of RFC 6455 section 1.3, and the answer that the RFC gives for it. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

/** The request of a client, with headers of its own or in the place of the usual ones. */
export function handshakeRequest(headers: Record<string, string> = {}): string {
  const usual = {
    Host: '127.0.0.1',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': KEY,
    'Sec-WebSocket-Version': '13',
  }
  const lines = Object.entries({ ...usual, ...headers }).map(([name, value]) => `${name}: ${value}`)
  return ['GET / HTTP/1.1', ...lines, '', ''].join('\r\n')
}

/** A WebSocket client that a test writes every frame of, and that takes nothing but correct frames. */
export class RawWebSocket {
  /** What the server has agreed to; '' for nothing. */
  readonly extensions: string
  readonly socket: Socket
  readonly #ended: Promise<void>
  readonly #inbox: ServerFrame[] = []
  readonly #reader = new ServerFrameReader()
  #wake: (() => void) | undefined

  private constructor(socket: Socket, response: Buffer) {
    const end = response.indexOf('\r\n\r\n') + 4
    this.extensions = /^sec-websocket-extensions: (.*)$/im.exec(response.toString('latin1', 0, end))?.[1] ?? ''
    this.socket = socket
    this.#ended = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('data', this.#onData)
    if (response.length > end) this.#onData(response.subarray(end))
  }

  /** Connects and shakes hands. */
  static async open(port: number | string, headers: Record<string, string> = {}): Promise<RawWebSocket> {
    const connection = await RawConnection.open(port)
    connection.write(handshakeRequest(headers))
    const response = await connection.until((received) => received.includes('\r\n\r\n'))
    if (!/^HTTP\/1\.1 101 /.test(String(response)) || !response.includes(`Sec-WebSocket-Accept: ${ACCEPT}\r\n`)) {
      throw new Error(`no handshake: ${response}`)
    }
    connection.socket.removeAllListeners('data')
    return new RawWebSocket(connection.socket, response)
  }

  /** Writes frames, in pieces that are turns of the event loop apart. */
  async send(frames: readonly FrameParts[], chop?: Chop): Promise<void> {
    for (const piece of cut(frames.map(encodeFrame), chop)) {
      this.socket.write(piece)
      if (chop !== undefined) await turn()
    }
  }

  /** The next frame of the server; rejects when the connection ends before. */
  async next(): Promise<ServerFrame> {
    while (this.#inbox.length === 0) await this.#news('a frame of the server')
    return this.#inbox.shift()!
  }

  /** Resolves, when the server has ended the connection, with the frames that were still to be taken. */
  async rest(): Promise<ServerFrame[]> {
    await within(this.#ended, 'the end of a WebSocket')
    return this.#inbox.splice(0)
  }

  async #news(what: string): Promise<void> {
    const arrived = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    const ended = this.#ended.then(() => {
      if (this.#inbox.length === 0) throw new Error(`ended before ${what} came`)
    })
    await within(Promise.race([arrived, ended]), what)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#inbox.push(...this.#reader.read(chunk))
    this.#wake?.()
  }
}

function cut(frames: readonly Buffer[], chop: Chop): readonly Buffer[] {
  if (chop === 'frame') return frames
  const bytes = Buffer.concat(frames)
  if (chop === undefined) return [bytes]
  const step = typeof chop === 'number' ? chop : 0
  const places =
    typeof chop === 'number'
      ? Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) => (i + 1) * step)
      : [...chop, bytes.length]
  return places.map((place, index) => bytes.subarray(places[index - 1] ?? 0, place))
}
