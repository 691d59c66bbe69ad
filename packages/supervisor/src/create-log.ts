import { type DestinationStream, type Logger, type LoggerOptions, pino, stdTimeFunctions } from 'pino'
import type { Output } from './output.ts'
import { printable } from './printable.ts'
import { standardOutputs } from './standard-output.ts'

/** Whether people read the log: then it is pretty, and a table replaces the "ready" lines. */
export const logIsForPeople = process.stdout.isTTY === true

/**
 * The log of this process on its standard output: pretty on a terminal, one JSON object a line otherwise, and always in a file. Each
 * line is to have a `process` and, but for the master's, an `index`: who writes takes a child logger that adds them.
 */
export async function createLog(level: string, file?: Output): Promise<Logger> {
  const options: LoggerOptions = {
    base: { pid: process.pid },
    formatters: { level: (label) => ({ level: label }) },
    level,
    timestamp: stdTimeFunctions.isoTime,
  }
  if (file !== undefined) return pino(options, file)
  const { stdout: output } = standardOutputs()
  return pino(options, logIsForPeople ? await createPrettyStream(output) : output)
}

async function createPrettyStream(output: Output): Promise<DestinationStream> {
  const { prettyFactory } = await import('pino-pretty')
  const format = prettyFactory({
    // The process stands in front of the message, the pid is for `ps`.
    ignore: 'process,index,pid',
    messageFormat: (line, messageKey) => {
      const index = line.index === undefined ? '' : ` #${line.index}`
      return `${line.process}${index}: ${line[messageKey]}`
    },
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
  })
  return {
    write(line) {
      output.write(format(JSON.parse(line, (_key, value) => (typeof value === 'string' ? printable(value) : value))))
    },
  }
}
