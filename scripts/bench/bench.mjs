// Measures the cluster beside a plain `ws` server, in turns, and prints a table: see README.md in this folder.
import { availableParallelism } from 'node:os'
import { readOptions, usage } from './bench-options.mjs'
import { checkOpenFiles, runScript } from './bench-script.mjs'
import { startCluster, startPlain } from './contestants.mjs'
import { formatExpectations, formatTable, summarize } from './report.mjs'
import { createScenarios } from './scenarios.mjs'

/** From this share of a core on, the load generator may have been the limit. */
const BUSY_GENERATOR = 0.95

/** Whoever measures sends more than a client should, and is not to measure that. */
const NO_LIMITS = ['--message-rate', '0', '--byte-rate', '0']
/** A change may cost so much of a row's throughput and be noise. */
const AT_LEAST_OF_BEFORE = 0.97

/** Each a script of its own, with options of its own. */
const SCRIPTS = {
  fairness: () => import('./fairness.mjs'),
  flood: () => import('./flood.mjs'),
  idle: () => import('./idle.mjs'),
  storm: () => import('./storm.mjs'),
  uid: () => import('./uid.mjs'),
}

const [script = ''] = process.argv.slice(2)
if (Object.hasOwn(SCRIPTS, script)) {
  process.argv.splice(2, 1)
  await SCRIPTS[script]()
}

await runScript('bench', `${usage}\n`, async () => {
  process.exitCode = await bench(readOptions(process.argv.slice(2)))
})

/** Runs all rounds and prints what they come to; resolves with the exit code. */
async function bench(options) {
  const { against } = options
  const contestants = {
    ours: () => startCluster({ frontArgs: NO_LIMITS }),
    other: against === undefined ? startPlain : () => startCluster({ frontArgs: NO_LIMITS, root: against }),
  }
  const scenarios = createScenarios(options).filter(({ rows }) => rows.some(({ kind }) => options.only.includes(kind)))
  if (options.only.includes('connect') || options.only.includes('idle')) checkOpenFiles(options.idleConnections)
  const measured = new Map(
    scenarios.flatMap(({ rows }) =>
      rows.map((row) => [row, { ...withExpectation(row, against), ours: [], other: [] }]),
    ),
  )

  for (let round = 1; round <= options.rounds; round++) {
    // Who goes first changes, so that neither always runs in the other's wake.
    const order = round % 2 === 1 ? ['ours', 'other'] : ['other', 'ours']
    for (const { rows, measure } of scenarios) {
      for (const side of order) {
        const server = await contestants[side]()
        const figures = await measure(server, options.seconds)
        await server.stop()
        for (const [index, row] of rows.entries()) {
          measured.get(row)[side].push(figures[index])
          reportProgress(`round ${round}/${options.rounds}`, nameOf(side, options), row, figures[index])
        }
      }
    }
  }

  const summaries = [...measured.values()].filter(({ kind }) => options.only.includes(kind)).map(summarize)
  print(summaries, options)
  return options.check && summaries.some(({ isAsExpected }) => isAsExpected === false) ? 1 : 0
}

/** Against another checkout every row with a throughput is expected to keep it. */
function withExpectation(row, against) {
  if (against === undefined) return row
  return { ...row, atLeast: row.unit.endsWith('/s') && row.kind !== 'connect' ? AT_LEAST_OF_BEFORE : undefined }
}

function nameOf(side, { against }) {
  if (side === 'ours') return 'ours'
  return against === undefined ? 'plain ws' : 'before'
}

function print(summaries, options) {
  const { against, json, rounds, seconds } = options
  const other = nameOf('other', options)
  const conditions = { node: process.version, cores: availableParallelism(), rounds, seconds, against }
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...conditions, rows: summaries }, undefined, 2)}\n`)
    return
  }
  const { node, cores } = conditions
  process.stdout.write(
    `${formatTable(summaries, other)}\n\nMedians of ${rounds} pairs of ${seconds} s; Node ${node}, ${cores} cores.\n` +
      formatExpectations(summaries, other),
  )
}

function reportProgress(round, side, { name, unit }, { cpuUs, value, generatorCpuShare = 0 }) {
  const warning = generatorCpuShare < BUSY_GENERATOR ? '' : ' (the load generator was at its own limit)'
  const cpu = cpuUs === undefined ? '' : `, ${cpuUs.toFixed(2)} µs of CPU each`
  process.stderr.write(`${round}, ${name}, ${side}: ${value.toFixed(1)} ${unit}${cpu}${warning}\n`)
}
