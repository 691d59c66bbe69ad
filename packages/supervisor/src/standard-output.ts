import { constants, fstatSync, openSync } from 'node:fs'
import type { Logger } from 'pino'
import { Output } from './output.ts'

const STDOUT = 1
const STDERR = 2

/** A standard stream of this process as it is to be written to. */
interface StandardStream {
  /** Whether children can have it, too. */
  isShareable: boolean
  output: Output
}

let streams: { stderr: StandardStream; stdout: StandardStream } | undefined

/**
 * Standard output and standard error, which from the first call on neither block nor end this process, whoever writes to them: log,
 * `console.log` and `process.stdout.write` all pass an Output.
 *
 * A pipe or terminal that several processes share has one O_NONBLOCK for all of them, which Node sets when it opens the stream and takes
 * back when one of them exits. So each process opens it once more, for a flag of its own. What cannot be opened again, such as a socket of systemd's journal, is
 * for this process alone, and its children write by way of it.
 */
export function standardStreams(): NonNullable<typeof streams> {
  streams ??= guardBoth()
  return streams
}

function guardBoth(): NonNullable<typeof streams> {
  const stdout = guard(process.stdout, openStream(process.stdout, STDOUT))
  // What goes to the same place stays in its order.
  const stderr = guard(process.stderr, isSame(STDOUT, STDERR) ? stdout : openStream(process.stderr, STDERR))
  return { stderr, stdout }
}

function isSame(one: number, other: number): boolean {
  // As bigint: after a plain fstat of a pipe, Node's realpath stops at the first folder that it knows (it looks at the same shared buffer).
  const [a, b] = [fstatSync(one, { bigint: true }), fstatSync(other, { bigint: true })]
  return a.dev === b.dev && a.ino === b.ino
}

function openStream(stream: NodeJS.WriteStream, descriptor: number): StandardStream {
  // A file takes what it is given, or fails, at once.
  const isFile = !stream.isTTY && !('_handle' in stream)
  const own = isFile ? descriptor : openAgain(descriptor)
  // Children on a terminal know that they are.
  return { isShareable: own !== undefined || stream.isTTY === true, output: new Output(own ?? descriptor) }
}

/** Has an output say in the log how much of it was dropped. */
export function reportDropped(output: Output, log: Logger): void {
  output.onDropped = (lines) => {
    const why = 'because the disk was full or nobody read the output'
    log.warn({ droppedLines: lines }, `${lines} lines of output were dropped, ${why}`)
  }
}

function guard(stream: NodeJS.WriteStream, standard: StandardStream): StandardStream {
  const { output } = standard
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
  return standard
}

/** A descriptor of what the standard stream is, non-blocking for this process alone; undefined where there can be none. */
function openAgain(descriptor: number): number | undefined {
  try {
    const { O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants
    return openSync(`/proc/self/fd/${descriptor}`, O_NOCTTY | O_NONBLOCK | O_WRONLY)
  } catch {
    return undefined
  }
}
