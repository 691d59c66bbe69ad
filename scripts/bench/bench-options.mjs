import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const KINDS = ['connect', 'idle', 'echo', 'group', 'session']

/** What `--help` prints. */
export const usage = `npm run bench -- [options]
  --against DIR          measure another built checkout of this repository (before a change, say) in place of plain ws
  --check                exit with code 1 when an expectation did not hold
  --idle-connections N   connections of the connect and idle rows (10000)
  --json                 print JSON, every round's figures included, in place of the table
  --only KINDS           measure these only, with commas: ${KINDS.join(', ')}
  --rounds N             pairs of measurements; the table has their medians (3)
  --seconds N            length of each echo and group measurement, after a warm-up (3)

npm run bench -- flood | idle | storm | uid [options], each with --help of its own, measures a flooding client, idle connections on several
processes, a storm of reconnecting clients and pushes to a uid with more and more gateways`

/** The bench's options from `args`; throws an Error that names the option that is unknown or has a bad value. */
export function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      against: { type: 'string' },
      check: { type: 'boolean', default: false },
      'idle-connections': { type: 'string', default: '10000' },
      json: { type: 'boolean', default: false },
      only: { type: 'string', default: KINDS.join(',') },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '3' },
    },
  })
  const only = values.only.split(',')
  const unknown = only.find((kind) => !KINDS.includes(kind))
  if (unknown !== undefined) throw new Error(`--only: "${unknown}" is none of ${KINDS.join(', ')}.`)
  return {
    against: readCheckout(values.against),
    check: values.check,
    idleConnections: readCount('idle-connections', values),
    json: values.json,
    only,
    rounds: readCount('rounds', values),
    seconds: readCount('seconds', values),
  }
}

function readCheckout(folder) {
  if (folder === undefined) return undefined
  const root = resolve(folder)
  if (existsSync(join(root, 'apps/gateway/dist/start-gateway.js'))) return root
  throw new Error(`--against: "${folder}" is no checkout of this repository, or is not built (npm run build).`)
}

function readCount(name, values) {
  const count = Number(values[name])
  if (!Number.isInteger(count) || count < 1) throw new Error(`--${name}: "${values[name]}" is no whole number above 0.`)
  return count
}
