// Workerman's text protocol: a message is a line.
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'

/** Nobody needs more; a program that never ends its line is cut off. */
const LONGEST_LINE = 1024 * 1024

/** Rejects if a line makes so little sense that nothing after it is to be read. */
type Answer = (line: string) => Promise<string>

/** Listens on 127.0.0.1, and answers every line with one; those of a connection one after the other. Rejects if the port is taken. */
export async function listenForLines(port: number, answer: Answer): Promise<Server> {
  // `nc` ends its half of the connection when its input ends, and still wants the answer.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    answerLines(socket, answer).catch(() => socket.end('fail\n', () => socket.destroy()))
  })
  await once(server.listen(port, '127.0.0.1'), 'listening')
  return server
}

async function answerLines(socket: Socket, answer: Answer): Promise<void> {
  let rest = ''
  // Without the option the end of the input would end the output, too.
  for await (const chunk of socket.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    // Not node:readline, which also takes U+2028 for the end of a line; JSON may have that in its strings.
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop()!
    for (const line of lines) socket.write(`${await answer(line.replace(/\r$/, ''))}\n`)
    if (rest.length > LONGEST_LINE) socket.destroy()
  }
  socket.end()
}
