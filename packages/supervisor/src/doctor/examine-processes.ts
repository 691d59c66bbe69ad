import type { ProcessGroup } from '../process-group.ts'
import type { SupervisedProcess } from '../supervised-process.ts'
import { type Examination, type PlacedExamination, problem } from './examination.ts'

/** What a process examines has to fit into it, so that whoever waits has an answer within ten seconds. */
const EXAMINE_TIMEOUT_MS = 9_000

/** One that has not answered by then hangs, however busy its host is. */
const SILENCE_MS = 3_000

/** Asks every process of a running cluster to examine itself and those whom it needs. */
export function examineProcesses(groups: readonly ProcessGroup[]): Promise<PlacedExamination[]> {
  return Promise.all(
    groups
      .flatMap(({ processes }) => processes)
      .map(async (place) => ({ where: `${place.name} #${place.index}`, ...(await examinePlace(place)) })),
  )
}

async function examinePlace({ current }: SupervisedProcess): Promise<Examination> {
  const checks = ['runs']
  if (current === undefined) {
    const what = 'The process has ended, and is due to be started again.'
    return { checks, findings: [problem('GW-PROCESS-ENDED', what, 'Its log says why it ended.')] }
  }
  if (current.state !== 'ready') {
    const fix = 'Its log says what it waits for; a start that takes minutes hangs in onWorkerStart.'
    return { checks, findings: [problem('GW-PROCESS-NOT-READY', `The process is ${current.state}.`, fix)] }
  }
  if (!current.canAnswer) return { checks, findings: [] }
  if ((await current.ask('stats', undefined, SILENCE_MS)) === undefined) {
    const fix =
      'A handler that blocks it is logged after --process-timeout; one that was stopped by a signal goes on at `kill -CONT PID`.'
    return {
      checks,
      findings: [problem('GW-PROCESS-SILENT', `The process does not answer within ${SILENCE_MS / 1000} s.`, fix)],
    }
  }
  const examination = await current.ask('examine', undefined, EXAMINE_TIMEOUT_MS)
  if (examination === undefined) {
    return {
      checks,
      findings: [problem('GW-CHECK-FAILED', 'The process could not examine itself.', 'Its log says why.')],
    }
  }
  return { checks: [...checks, ...examination.checks], findings: examination.findings }
}
