import type { ProcessGroup } from '../process-group.ts'
import type { SupervisedProcess } from '../supervised-process.ts'

/** What keeps each process from being found and reached by those who need it, in words; none when nothing does. */
export async function findProblems(groups: readonly ProcessGroup[]): Promise<string[]> {
  const problems = await Promise.all(groups.flatMap(({ processes }) => processes.map(problemsOf)))
  return problems.flat()
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
