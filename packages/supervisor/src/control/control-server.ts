import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { Report } from '../reload.ts'
import { StartError } from '../start-error.ts'
import { version } from '../version.ts'
import type { ClusterIdentity, ControlCommands, ControlReply, ControlRequest } from './control-protocol.ts'
import { readLines } from './read-lines.ts'

/** What a master does for each command; an error that is thrown is told by its message. */
export type ControlHandlers = {
  [C in keyof ControlCommands]: (
    parameters: ControlCommands[C]['parameters'],
    report: Report,
  ) => Promise<ControlCommands[C]['result']>
}

/** The master's end of the control socket: JSON lines, one request a connection. Who may connect is up to the folder's mode. */
export class ControlServer {
  readonly #cluster: ClusterIdentity
  readonly #handlers: ControlHandlers
  readonly #onAnswered: (command: keyof ControlCommands) => void
  readonly #server: Server = createServer((socket) => this.#onConnection(socket))

  /** `onAnswered` is called when a command's result is on its way, or nobody is there to take it. */
  constructor(
    cluster: ClusterIdentity,
    handlers: ControlHandlers,
    onAnswered: (command: keyof ControlCommands) => void,
  ) {
    this.#cluster = cluster
    this.#handlers = handlers
    this.#onAnswered = onAnswered
    // A connection that could not be accepted is its client's loss.
    this.#server.on('error', () => {})
  }

  /** Rejects with EADDRINUSE when there is such a socket, alive or not. */
  async listen(path: string): Promise<void> {
    await once(this.#server.listen(path), 'listening')
  }

  #onConnection(socket: Socket): void {
    // Whoever asked and went away needs no answer.
    socket.on('error', () => {})
    send(socket, { type: 'hello', cluster: this.#cluster, pid: process.pid, version })
    void this.#serve(socket)
  }

  async #serve(socket: Socket): Promise<void> {
    const { value: line } = await readLines(socket).next()
    if (line !== undefined) await this.#onRequest(socket, line)
  }

  async #onRequest(socket: Socket, line: string): Promise<void> {
    try {
      const { command, parameters } = JSON.parse(line) as ControlRequest
      if (!Object.hasOwn(this.#handlers, command)) throw new Error(`there is no command ${JSON.stringify(command)}`)
      const handler = this.#handlers[command] as (parameters: unknown, report: Report) => Promise<unknown>
      const value = await handler(parameters, (text) => send(socket, { type: 'progress', text }))
      send(socket, { type: 'result', value })
      socket.end(() => this.#onAnswered(command))
    } catch (error) {
      send(socket, { type: 'error', message: describeError(error) })
      socket.end()
    }
    // Its other half is not read any more, and would not end by itself.
    socket.destroySoon()
  }
}

/** A stack where it is the user's code that threw. */
function describeError(error: unknown): string {
  if (error instanceof StartError) return error.describe()
  return error instanceof Error ? error.message : String(error)
}

function send(socket: Socket, reply: ControlReply): void {
  if (socket.writable) socket.write(`${JSON.stringify(reply)}\n`)
}
