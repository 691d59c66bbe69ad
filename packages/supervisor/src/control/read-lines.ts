import type { Socket } from 'node:net'

/** The lines that come on a connection, to its end, however that comes. To stop reading before ends the connection. */
export async function* readLines(socket: Socket): AsyncGenerator<string, undefined> {
  let rest = ''
  try {
    for await (const text of socket.setEncoding('utf8')) {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      yield* lines
    }
  } catch {
    // What was not said any more is for whoever waits for it.
  }
  return undefined
}
