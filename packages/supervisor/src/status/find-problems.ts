import { setTimeout as sleep } from 'node:timers/promises'
import type { Master } from '../master.ts'
import type { ProcessGroup } from '../process-group.ts'
import type { SupervisedProcess } from '../supervised-process.ts'

/** Each look at a gateway dials, so looks become rarer. */
const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 2000

/** What keeps each process from being found and reached by those who need it, in words; none when nothing does. */
export type Problems = ReadonlyMap<SupervisedProcess, readonly string[]>

export async function findProblems(groups: readonly ProcessGroup[]): Promise<Problems> {
  const places = groups.flatMap(({ processes }) => processes)
  return new Map(await Promise.all(places.map(async (place) => [place, await problemsOf(place)] as const)))
}

/** The problems that are left when there are none, or at the deadline; it looks once at least. */
export async function whenLinked(master: Master, deadlineMs: number): Promise<Problems> {
  const deadline = performance.now() + deadlineMs
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const problems = await findProblems(master.groups)
    const leftMs = deadline - performance.now()
    if (inWords(problems).length === 0 || leftMs <= 0 || master.isStopping) return problems
    await sleep(Math.min(pauseMs, leftMs))
  }
}

export function inWords(problems: Problems): string[] {
  return [...problems.values()].flat()
}

async function problemsOf({ current, index, name }: SupervisedProcess): Promise<string[]> {
  const who = `${name} #${index}`
  if (current === undefined) return [`${who} has ended, and is due to be started again`]
  if (current.state !== 'ready') return [`${who} is ${current.state}`]
  if (!current.canAnswer) return []
  const problems = await current.ask('problems', undefined)
  if (problems === undefined) return [`${who} does not answer`]
  return problems.map((problem) => `${who}: ${problem}`)
}
