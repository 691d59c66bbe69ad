// One WebSocket client connection of the load generator, as cheap as Node allows: bytes are read into one buffer that
// all connections share, frames are recognised in place, and the clock is read once a chunk.
import { connect } from 'node:net'
import { performance } from 'node:perf_hooks'
import { encodeClientFrame, FirstByte } from './load-frame.mjs'

/** The key of RFC 6455, section 1.3, and the answer that the RFC gives for it. */
const HANDSHAKE_KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const HANDSHAKE_ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

const sharedReadBuffer = Buffer.allocUnsafeSlow(256 * 1024)

/**
 * Microseconds since this process started, as a 32-bit integer: subtract two with `| 0`.
 */
export function clockUs() {
  return (performance.now() * 1000) | 0
}

/**
 * What a connection tells about what it reads. Whatever breaks the protocol is thrown: a server that does so has no
 * figures worth printing.
 *
 * @typedef {object} LoadHandler
 * @property {(connection: LoadConnection, bytes: Buffer, start: number, end: number, nowUs: number) => void} onMessage
 *   one text message, valid during the call only
 * @property {(connection: LoadConnection) => void} onChunkEnd every whole message of one chunk has been handed over
 * @property {(connection: LoadConnection) => void} [onEnd] the connection could not be made or has ended, whoever ended it; without it
 *   that is thrown, too
 */

/** Where the connection with this index comes from: 127.0.0.1 or one of its neighbours, so that none has too many for its address. */
export function sourceAddress(index, addresses) {
  return `127.0.0.${1 + (index % addresses)}`
}

/** A client connection; `opened` resolves when the handshake is done. */
export class LoadConnection {
  /** Resolves with nothing; a failed handshake ends the process, as every other failure does. */
  opened
  /** @type {LoadHandler} */
  handler
  index
  #isOpen = false
  #onOpen
  #partial = undefined
  #socket

  /**
   * @param {number} index
   * @param {number} port
   * @param {object} [options]
   * @param {LoadHandler} [options.handler]
   * @param {string} [options.localAddress]
   */
  constructor(index, port, { handler = rejectMessages, localAddress } = {}) {
    this.handler = handler
    this.index = index
    this.opened = new Promise((resolve) => {
      this.#onOpen = resolve
    })
    this.#socket = connect({
      host: '127.0.0.1',
      localAddress,
      port,
      noDelay: true,
      onread: { buffer: sharedReadBuffer, callback: (byteCount) => this.#onRead(byteCount) },
    })
    this.#socket.on('error', (error) => {
      if (this.handler.onEnd === undefined) this.#fail(error.message)
    })
    this.#socket.on('close', () => {
      if (this.handler.onEnd === undefined) this.#fail('the server ended it')
      else this.handler.onEnd(this)
    })
    this.#socket.write(
      `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${HANDSHAKE_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    )
  }

  /** What was written and the kernel has not taken. */
  get waitingBytes() {
    return this.#socket.writableLength
  }

  /** Writes whole frames, in one call to the kernel when it takes them. */
  write(frames) {
    this.#socket.write(frames)
  }

  #onRead(byteCount) {
    if (this.#partial === undefined) {
      this.#readChunk(sharedReadBuffer, byteCount)
    } else {
      const bytes = Buffer.concat([this.#partial, sharedReadBuffer.subarray(0, byteCount)])
      this.#partial = undefined
      this.#readChunk(bytes, bytes.length)
    }
    return true
  }

  #readChunk(bytes, length) {
    let at = this.#isOpen ? 0 : this.#readHandshake(bytes, length)
    if (this.#isOpen) at = this.#readFrames(bytes, at, length)
    // Copied, because the shared buffer belongs to the next connection that has something to read.
    if (at < length) this.#partial = Buffer.from(bytes.subarray(at, length))
  }

  /** Returns where the frames begin, or 0 while the response is incomplete. */
  #readHandshake(bytes, length) {
    const response = bytes.latin1Slice(0, length)
    const end = response.indexOf('\r\n\r\n')
    if (end === -1) return 0
    if (!response.startsWith('HTTP/1.1 101 ') || !response.includes(HANDSHAKE_ACCEPT)) {
      this.#fail(`the handshake was answered with ${response.slice(0, response.indexOf('\r\n'))}`)
    }
    this.#isOpen = true
    this.#onOpen()
    return end + 4
  }

  /** Returns where the first incomplete frame begins. */
  #readFrames(bytes, from, length) {
    const nowUs = clockUs()
    let at = from
    while (length - at >= 2) {
      let start = at + 2
      let sizeBytes = bytes[at + 1]
      if (sizeBytes === 126) {
        if (length - at < 4) break
        start = at + 4
        sizeBytes = (bytes[at + 2] << 8) | bytes[at + 3]
      } else if (sizeBytes > 126) {
        this.#fail('a frame is masked or larger than 65 535 bytes')
      }
      const end = start + sizeBytes
      if (end > length) break
      if (bytes[at] === FirstByte.TEXT) this.handler.onMessage(this, bytes, start, end, nowUs)
      else this.#onOtherFrame(bytes[at], bytes.subarray(start, end))
      at = end
    }
    this.handler.onChunkEnd(this)
    return at
  }

  #onOtherFrame(firstByte, payload) {
    if (firstByte === FirstByte.PING) this.write(encodeClientFrame(FirstByte.PONG, payload))
    else if (firstByte === FirstByte.CLOSE) {
      if (this.handler.onEnd !== undefined) return // it is told when it has come
      const code = payload.length < 2 ? 'no code' : payload.readUInt16BE(0)
      this.#fail(`the server closed it with ${code} ${payload.utf8Slice(2)}`)
    } else this.#fail(`a frame begins with 0x${firstByte.toString(16)}`)
  }

  #fail(reason) {
    throw new Error(`Connection ${this.index}: ${reason}.`)
  }
}

/** What a connection does until a load takes it over: nobody has asked for anything yet. */
const rejectMessages = {
  onMessage(connection, bytes, start, end) {
    throw new Error(`Connection ${connection.index}: unasked for, "${bytes.utf8Slice(start, end)}" came.`)
  },
  onChunkEnd() {},
}
