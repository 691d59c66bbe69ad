// What idle connections cost in memory, ours beside plain `ws`, on several processes: see README.md in this folder.
import { checkOpenFiles, readFlags, runScript } from './bench-script.mjs'
import { residentBytes } from './child-process.mjs'
import { startCluster, startPlain } from './contestants.mjs'
import { Probes } from './probes.mjs'
import { formatRow, median } from './report.mjs'
import { readResult, startLoad } from './scenarios.mjs'

const USAGE = `npm run bench -- idle [options]
  --addresses N            from how many addresses of 127.0.0.0/8 clients come (50)
  --connections N          how many there are in all (20000)
  --fronts N               how many processes hold them, and as many make them (2)
  --gateway-args=ARGS      more options of the gateways, separated by spaces
  --node-args=ARGS         what Node is told in the processes that hold them
  --rounds N               pairs of measurements; the rows have their medians (3)
  --versus-node-args=ARGS  compare with ours started like this, and not with plain ws
`
/** How long connections are left alone before memory is read. */
const SETTLE_MS = 3000
/** Longer than reading takes. */
const HOLD_SECONDS = 600

await runScript('idle', USAGE, async () => {
  const flags = readFlags({
    addresses: 50,
    connections: 20_000,
    fronts: 2,
    'gateway-args': [],
    'node-args': [],
    rounds: 3,
    'versus-node-args': [],
  })
  checkOpenFiles(flags.connections / flags.fronts)
  const otherArgs = flags['versus-node-args']
  const sides = {
    ours: { start: startCluster, nodeArgs: flags['node-args'] },
    ...(otherArgs.length === 0
      ? { 'plain ws': { start: startPlain, nodeArgs: flags['node-args'] } }
      : { [`ours, ${otherArgs.join(' ')}`]: { start: startCluster, nodeArgs: otherArgs } }),
  }
  const measured = Object.fromEntries(Object.keys(sides).map((side) => [side, []]))
  for (let round = 1; round <= flags.rounds; round++) {
    const names = Object.keys(sides)
    for (const side of round % 2 === 1 ? names : names.reverse()) {
      const figures = await measure(sides[side], flags)
      measured[side].push(figures)
      process.stderr.write(`round ${round}/${flags.rounds}, ${side}: ${JSON.stringify(figures)}\n`)
    }
  }
  process.stdout.write(
    `${formatRow(['', 'connections', 'processes', 'handshakes/s', 'kB each, as it is', 'kB each, garbage collected', 'heap, collected', 'all processes, as it is'])}\n`,
  )
  for (const [side, rounds] of Object.entries(measured)) {
    const of = (key) => median(rounds.map((figures) => figures[key])).toFixed(1)
    const rate = Math.round(median(rounds.map(({ connectPerSecond }) => connectPerSecond)))
    process.stdout.write(
      `${formatRow([side, flags.connections, flags.fronts, rate, of('frontKb'), of('collectedKb'), of('heapKb'), of('allKb')])}\n`,
    )
  }
})

async function measure({ start, nodeArgs }, { addresses, connections, fronts, 'gateway-args': frontArgs }) {
  const probes = new Probes()
  const server = await start({ env: probes.env, frontArgs, frontNodeArgs: nodeArgs, fronts })
  const all = Object.values(server.pids).flat()
  const read = () => ({ front: residentOf(server.frontPids), all: residentOf(all) })
  const perConnectionKb = (after, before) => (after - before) / connections / 1000

  const collectedBefore = await probes.collectedMemory(server.frontPids)
  const before = read()
  const loads = Array.from({ length: fronts }, (_, index) => {
    const port = server.ports[index % server.ports.length]
    return startLoad({
      mode: 'idle',
      addresses,
      connections: Math.ceil(connections / fronts),
      port,
      seconds: HOLD_SECONDS,
    })
  })
  const results = await Promise.all(loads.map((load) => readResult(load, 0)))
  await Promise.all(loads.map((load) => load.stayUp(SETTLE_MS)))
  const after = read()
  const collected = await probes.collectedMemory(server.frontPids)
  await Promise.all(loads.map((load) => load.stop()))
  await server.stop()
  probes.remove()
  return {
    connectPerSecond: results.reduce((total, { connectPerSecond }) => total + connectPerSecond, 0),
    frontKb: perConnectionKb(after.front, before.front),
    allKb: perConnectionKb(after.all, before.all),
    collectedKb: perConnectionKb(collected.residentBytes, collectedBefore.residentBytes),
    heapKb: perConnectionKb(collected.heapBytes, collectedBefore.heapBytes),
  }
}

function residentOf(pids) {
  return pids.reduce((total, pid) => total + residentBytes(pid), 0)
}
