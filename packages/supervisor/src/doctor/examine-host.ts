import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { formatBytes } from '../human-units.ts'
import { type Examination, type Finding, problem, warning } from './examination.ts'

/** The version of Node.js that all is tested with, and everything above. */
const OLDEST_NODE = [20, 19] as const

/** What an idle process takes. */
const PROCESS_BYTES = 100_000_000

/** Clients that come back all at once, after a gateway was away, wait there to be accepted. */
const SHORT_BACKLOG = 1024

/** What a host offers to a cluster of so many processes, the master included. */
export function examineHost(processes: number): Examination {
  return {
    checks: ['Node.js', 'memory', 'net.core.somaxconn'],
    findings: [
      ...checkNode(process.versions.node),
      ...checkMemory(memoryLimit(), processes),
      ...checkBacklog(readBacklog()),
    ],
  }
}

export function checkNode(version: string): Finding[] {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return []
  const oldest = OLDEST_NODE.join('.')
  return [
    problem(
      'GW-NODE-OLD',
      `This is Node.js ${version}; ${oldest} is the oldest that is supported.`,
      `Install Node.js ${oldest} or newer.`,
    ),
  ]
}

export function checkMemory(limit: number, processes: number): Finding[] {
  const needed = processes * PROCESS_BYTES
  if (limit >= needed) return []
  return [
    warning(
      'GW-MEMORY-LOW',
      `${processes} processes need ${formatBytes(needed)} before the first client comes, and may use ${formatBytes(limit)}.`,
      'Raise the limit of the container or cgroup (MemoryMax=, mem_limit, resources.limits.memory), or lower --count.',
    ),
  ]
}

export function checkBacklog(backlog: number): Finding[] {
  if (backlog >= SHORT_BACKLOG) return []
  return [
    warning(
      'GW-BACKLOG-LOW',
      `Only ${backlog} connections may wait to be accepted: when all clients come back at once, some are turned away.`,
      '`sysctl -w net.core.somaxconn=4096`, and the same in /etc/sysctl.d; in a container: sysctls.',
    ),
  ]
}

function memoryLimit(): number {
  return Math.min(process.constrainedMemory() || totalmem(), totalmem())
}

function readBacklog(): number {
  try {
    return Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'))
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
