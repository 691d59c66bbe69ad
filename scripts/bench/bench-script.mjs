import { parseArgs } from 'node:util'
import { killChildren } from './child-process.mjs'

/** Runs one of the scripts of this folder: `--help` prints `usage`, an error is one line, and nothing that was started outlives it. */
export async function runScript(name, usage, run) {
  process.on('exit', killChildren)
  process.on('SIGINT', () => process.exit(130))
  process.on('SIGTERM', () => process.exit(143))
  try {
    if (process.argv.includes('--help')) process.stdout.write(usage)
    else await run()
    process.exit()
  } catch (error) {
    process.stderr.write(`${name}: ${error.message}\n`)
    process.exit(1)
  }
}

/**
 * The command line's flags, each of the type of its default: a count, a text or a switch. Throws an Error that names what is unknown or
 * wrong.
 *
 * @param {Record<string, number | string | boolean>} defaults
 * @returns {*}
 */
export function readFlags(defaults) {
  const { values } = parseArgs({
    options: Object.fromEntries(
      Object.entries(defaults).map(([name, value]) => [
        name,
        {
          type: typeof value === 'boolean' ? 'boolean' : 'string',
          default: typeof value === 'number' ? String(value) : value,
        },
      ]),
    ),
  })
  return Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [
      name,
      typeof value === 'number' ? readCount(name, values[name]) : values[name],
    ]),
  )
}

function readCount(name, value) {
  const count = Number(value)
  if (!Number.isInteger(count) || count < 0) throw new Error(`--${name}: "${value}" is no whole number.`)
  return count
}
