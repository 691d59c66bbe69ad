import { readFileSync } from 'node:fs'
import { type Examination, type Finding, problem, warning } from './examination.ts'

/** Below this a gateway does not even hold a small office. */
const FEW_FILES = 1024

/** Below this it is no limit that anybody has thought about. */
const ENOUGH_FILES = 10_000

/** What a gateway keeps for everything but its clients. */
const OWN_FILES = 200

/** What the system allows this very process, which may be other than what it allows a login shell. */
export function examineProcess(): Examination {
  return { checks: ['open files'], findings: findFileLimit(readFileLimit()) }
}

function findFileLimit(limit: number): Finding[] {
  if (limit >= ENOUGH_FILES) return []
  return [
    (limit < FEW_FILES ? problem : warning)(
      'GW-FILES-LOW',
      `A process may have ${limit} files open, so a gateway process holds ${Math.max(0, limit - OWN_FILES)} clients at most.`,
      'Raise it where the cluster is started: LimitNOFILE=1048576 in a systemd unit, `ulimit -n 1048576` in a shell, `ulimits: nofile` in a compose file.',
    ),
  ]
}

/** Node raises its own soft limit to the hard one, which is what counts. */
function readFileLimit(): number {
  try {
    const [, hard = ''] = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
