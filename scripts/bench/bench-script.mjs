import { parseArgs } from 'node:util'
import { killChildren } from './child-process.mjs'

/** Files that a process has open besides its connections. */
const SPARE_FILES = 100

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
 * The command line's flags, each of the kind of its default: a count, a switch, or a list of words with spaces between. Throws an Error
 * that names what is unknown or wrong.
 *
 * @param {Record<string, number | boolean | string[]>} defaults
 * @returns {*}
 */
export function readFlags(defaults) {
  const toOption = (value) =>
    typeof value === 'boolean' ? { type: 'boolean', default: value } : { type: 'string', default: textOf(value) }
  const { values } = parseArgs({ options: mapValues(defaults, toOption) })
  return mapValues(defaults, (value, name) => {
    if (typeof value === 'number') return readCount(name, values[name])
    return typeof value === 'boolean' ? values[name] : values[name].split(' ').filter((word) => word !== '')
  })
}

function textOf(value) {
  return Array.isArray(value) ? value.join(' ') : String(value)
}

function mapValues(object, map) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, map(value, name)]))
}

function readCount(name, value) {
  const count = Number(value)
  if (!Number.isInteger(count) || count < 0) throw new Error(`--${name}: "${value}" is no whole number.`)
  return count
}

/** Throws when this shell does not let one process have so many connections: better said now than by a failed accept. */
export function checkOpenFiles(connections) {
  const report = /** @type {*} */ (process.report?.getReport())
  const limit = report?.userLimits?.open_files?.hard
  if (typeof limit === 'number' && limit < connections + SPARE_FILES) {
    throw new Error(
      `${connections} connections need ${connections + SPARE_FILES} open files and the limit is ${limit}: ` +
        'raise it (ulimit -n) or ask for fewer.',
    )
  }
}
