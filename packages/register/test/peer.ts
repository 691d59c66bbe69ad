import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Log } from '@gatewayworker/protocol'
import { onTestFinished } from 'vitest'
import { RegisterServer, type RegisterServerOptions } from '../src/register-server.ts'

/** A log that keeps what it is told. */
export function keptLog(): Log & { lines: string[] } {
  const lines: string[] = []
  const keep = (details: object, message: string) => lines.push(`${message} ${JSON.stringify(details)}`)
  return { lines, debug: keep, info: keep, warn: keep, error: keep }
}

/** A register that ends with the test. */
export async function startRegister(options: Partial<RegisterServerOptions> = {}) {
  const log = keptLog()
  const server = new RegisterServer({ host: '127.0.0.1', log, port: 0, ...options })
  const { host, port } = await server.start()
  onTestFinished(() => server.stop())
  return { server, host, port, address: `${host}:${port}`, log }
}

/** A bare peer of a register: writes text, reads lines. */
export class Peer {
  readonly closed: Promise<void>
  /** What the other side sent that was not asked for with `line` yet. */
  readonly lines: string[] = []
  readonly socket: Socket
  #rest = ''
  #waiting: ((line: string) => void)[] = []

  constructor(socket: Socket) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => {})
    socket.on('data', (chunk) => this.#onText(chunk.toString()))
    onTestFinished(() => {
      socket.destroy()
    })
  }

  static async connect(port: number, host = '127.0.0.1'): Promise<Peer> {
    const socket = connect(port, host)
    await once(socket, 'connect')
    return new Peer(socket)
  }

  say(...messages: (object | string)[]): void {
    this.socket.write(messages.map((said) => (typeof said === 'string' ? said : `${JSON.stringify(said)}\n`)).join(''))
  }

  /** The next line, without its end. */
  line(): Promise<string> {
    const line = this.lines.shift()
    if (line !== undefined) return Promise.resolve(line)
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  #onText(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      const wake = this.#waiting.shift()
      if (wake === undefined) this.lines.push(line)
      else wake(line)
    }
  }
}
