import { constants, fstatSync, openSync } from 'node:fs'
import type { Logger } from 'pino'
import { Output } from './output.ts'

const STDOUT = 1
const STDERR = 2

/** What Node has and @types/node lacks: the handle of a stream that is a pipe, socket or terminal. */
type StandardStream = NodeJS.WriteStream & { _handle?: { fd?: number; setBlocking(isBlocking: boolean): void } }

interface StandardOutputs {
  stderr: Output
  stdout: Output
}

let outputs: StandardOutputs | undefined

/**
 * Standard output and standard error, which from the first call on neither block nor end this process, whoever writes to them: log,
 * `console.log` and `process.stdout.write` all pass an Output.
 */
export function standardOutputs(): StandardOutputs {
  outputs ??= openBoth()
  return outputs
}

/** Has an output say in the log how much of it was dropped. */
export function reportDropped(output: Output, log: Logger): void {
  output.onDropped = (lines) => {
    const why = 'because the disk was full or nobody read the output'
    log.warn({ droppedLines: lines }, `${lines} lines of output were dropped, ${why}`)
  }
}

function openBoth(): StandardOutputs {
  const stdout = open(process.stdout, STDOUT)
  // What goes to the same place stays in its order.
  const stderr = isSame(STDOUT, STDERR) ? stdout : open(process.stderr, STDERR)
  // Windows' consoles want to be written to by Node, which knows their characters.
  if (process.platform !== 'win32') {
    redirect(process.stdout, stdout)
    redirect(process.stderr, stderr)
  }
  return { stderr, stdout }
}

function isSame(one: number, other: number): boolean {
  // As bigint: after a plain fstat of a pipe, Node's realpath stops at the first folder that it knows (it looks at the same shared buffer).
  const [a, b] = [fstatSync(one, { bigint: true }), fstatSync(other, { bigint: true })]
  return a.dev === b.dev && a.ino === b.ino
}

/**
 * Processes that share a pipe, socket or terminal share its O_NONBLOCK, too: each fork and each exit of one of them may take it back. So it
 * is opened once more, for a flag of its own; where that cannot be (a socket, such as that of systemd's journal, or another user's pipe) it is set before each write.
 */
function open({ _handle: handle }: StandardStream, descriptor: number): Output {
  // A file takes what it is given, or fails, at once.
  if (handle?.fd === undefined) return new Output(descriptor)
  try {
    const { O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants
    return new Output(openSync(`/proc/self/fd/${descriptor}`, O_NOCTTY | O_NONBLOCK | O_WRONLY))
  } catch {
    return new Output(handle.fd, () => handle.setBlocking(false))
  }
}

function redirect(stream: NodeJS.WriteStream, output: Output): void {
  const write = stream.write as (...parameters: unknown[]) => boolean

  stream.write = (chunk: unknown, ...more: unknown[]): boolean => {
    // Node says what is wrong with it.
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return write.call(stream, chunk, ...more)
    const onWritten = more.find((parameter) => typeof parameter === 'function')
    const [encoding] = more
    const isEncoded = typeof chunk === 'string' && typeof encoding === 'string'
    const wasWritten = output.write(isEncoded ? Buffer.from(chunk, encoding as BufferEncoding) : chunk)
    if (onWritten !== undefined) process.nextTick(onWritten)
    return wasWritten
  }
  output.onDrain(() => stream.emit('drain'))
  // Of what Node itself writes there.
  stream.on('error', () => {})
}
