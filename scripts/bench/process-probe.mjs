// Preloaded into every process that is looked at (NODE_OPTIONS=--import=…): writes what it needs and how late its event loop is to a file
// of its own, FOLDER/PID.jsonl, and collects garbage when it finds FOLDER/collect. read-probes.mjs reads it.
import { appendFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isMainThread } from 'node:worker_threads'

const SAMPLE_MS = 10
const SAMPLES_PER_LINE = 20

const folder = process.env.PROCESS_PROBE_FOLDER
if (isMainThread && folder !== undefined) probe(folder)

function probe(folder) {
  const file = join(folder, `${process.pid}.jsonl`)
  let lagsMs = []
  let dueAt = performance.now() + SAMPLE_MS
  let hasCollected = false

  const timer = setInterval(() => {
    const now = performance.now()
    lagsMs.push(Math.round(Math.max(0, now - dueAt) * 10) / 10)
    dueAt = now + SAMPLE_MS
    if (lagsMs.length < SAMPLES_PER_LINE) return
    const mustCollect = existsSync(join(folder, 'collect'))
    if (mustCollect && !hasCollected) collectGarbage()
    hasCollected = mustCollect
    const { user, system } = process.cpuUsage()
    const { heapUsed, rss } = process.memoryUsage()
    const line = {
      atMs: Date.now(),
      cpuUs: user + system,
      hasCollected,
      heapBytes: heapUsed,
      residentBytes: rss,
      lagsMs,
    }
    appendFileSync(file, `${JSON.stringify(line)}\n`)
    lagsMs = []
    dueAt = performance.now() + SAMPLE_MS
  }, SAMPLE_MS)
  timer.unref()
}

function collectGarbage() {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}
