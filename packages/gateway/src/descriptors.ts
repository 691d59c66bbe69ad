import { readFileSync } from 'node:fs'
import { report } from 'node:process'
import type { Log } from '@gatewayworker/protocol'

/** What a process needs beside clients: links, registers, logs, modules. Workers can link though as many clients have come as may. */
const RESERVE = 200

/** Of as many connections as somebody allows (0 for any number) those for which the process may open a file. */
export function connectionsWithinLimit(maxConnections: number): number {
  const room = Math.max(readLimit() - RESERVE, 1)
  if (room === Number.POSITIVE_INFINITY || (maxConnections > 0 && maxConnections <= room)) return maxConnections
  return room
}

/** Logs that a gateway takes fewer connections than it is allowed to, if it does. */
export function warnOfFewConnections(maxConnections: number, log: Log): void {
  const taken = connectionsWithinLimit(maxConnections)
  if (taken === maxConnections) return
  const openFiles = readLimit()
  log.warn(
    { maxConnections, openFiles, taken },
    `only ${taken} connections are taken, because this process may open ${openFiles} files: raise that (ulimit -n, LimitNOFILE), or lower --max-connections`,
  )
}

/** Node has raised it as far as it may. */
function readLimit(): number {
  try {
    const [, soft = ''] = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return toNumber(soft)
  } catch {
    const limits = report?.getReport() as { userLimits?: { open_files?: { soft: unknown } } } | undefined
    return toNumber(limits?.userLimits?.open_files?.soft)
  }
}

function toNumber(limit: unknown): number {
  return Number.isSafeInteger(Number(limit)) && Number(limit) > 0 ? Number(limit) : Number.POSITIVE_INFINITY
}
