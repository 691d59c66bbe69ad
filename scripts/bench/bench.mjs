// Measures the cluster beside a plain `ws` server, in turns, and prints a table: see README.md in this folder.
import { availableParallelism } from 'node:os'
import { readOptions, usage } from './bench-options.mjs'
import { checkOpenFiles, runScript } from './bench-script.mjs'
import { startCluster, startPlain } from './contestants.mjs'
import { formatExpectations, formatTable, summarize } from './report.mjs'
import { createScenarios } from './scenarios.mjs'

/** From this share of a core on, the load generator may have been the limit. */
const BUSY_GENERATOR = 0.95

/** Whoever measures sends more than a client should: the limits are on, and out of reach. */
const FAR_LIMITS = ['--message-rate', '1000000', '--byte-rate', '10000000000']
const contestants = { ours: () => startCluster({ frontArgs: FAR_LIMITS }), plain: startPlain }

/** Each a script of its own, with options of its own. */
const SCRIPTS = {
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
  const scenarios = createScenarios(options).filter(({ rows }) => rows.some(({ kind }) => options.only.includes(kind)))
  if (options.only.includes('connect') || options.only.includes('idle')) checkOpenFiles(options.idleConnections)
  const measured = new Map(scenarios.flatMap(({ rows }) => rows.map((row) => [row, { ...row, ours: [], plain: [] }])))

  for (let round = 1; round <= options.rounds; round++) {
    // Who goes first changes, so that neither always runs in the other's wake.
    const order = round % 2 === 1 ? ['ours', 'plain'] : ['plain', 'ours']
    for (const { rows, measure } of scenarios) {
      for (const side of order) {
        const server = await contestants[side]()
        const figures = await measure(server, options.seconds)
        await server.stop()
        for (const [index, row] of rows.entries()) {
          measured.get(row)[side].push(figures[index])
          reportProgress(`round ${round}/${options.rounds}`, side, row, figures[index])
        }
      }
    }
  }

  const summaries = [...measured.values()].filter(({ kind }) => options.only.includes(kind)).map(summarize)
  print(summaries, options)
  return options.check && summaries.some(({ isAsExpected }) => isAsExpected === false) ? 1 : 0
}

function print(summaries, { json, rounds, seconds }) {
  const conditions = { node: process.version, cores: availableParallelism(), rounds, seconds }
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...conditions, rows: summaries }, undefined, 2)}\n`)
    return
  }
  const { node, cores } = conditions
  process.stdout.write(
    `${formatTable(summaries)}\n\nMedians of ${rounds} pairs of ${seconds} s; Node ${node}, ${cores} cores.\n` +
      formatExpectations(summaries),
  )
}

function reportProgress(round, side, { name, unit }, { value, generatorCpuShare = 0 }) {
  const warning = generatorCpuShare < BUSY_GENERATOR ? '' : ' (the load generator was at its own limit)'
  process.stderr.write(`${round}, ${name}, ${side}: ${value.toFixed(1)} ${unit}${warning}\n`)
}
