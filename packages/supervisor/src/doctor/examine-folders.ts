import { accessSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { RunFolder } from '../control/run-folder.ts'
import { statsOf } from '../stats-of.ts'
import { type Examination, type Finding, problem } from './examination.ts'

/** Whether a start could make its run folder and write its log; nothing is made or written. */
export function examineFolders(runFolder: RunFolder, logFile: string): Examination {
  return {
    checks: [`run folder ${runFolder.path}`, `log ${logFile}`],
    findings: [...checkRunFolder(runFolder), ...checkLog(runFolder, logFile)],
  }
}

function checkRunFolder(runFolder: RunFolder): Finding[] {
  const fix =
    'Name another one with --run-dir, or mend its owner (chown), mode (chmod 700) and the folder that it is in.'
  const open = runFolder.problem()
  if (open !== undefined) return [problem('GW-RUN-FOLDER', `The run folder cannot be used: ${open}.`, fix)]
  const blocked = blockedAt(runFolder.path)
  if (blocked === undefined) return []
  return [problem('GW-RUN-FOLDER', `The run folder ${runFolder.path} cannot be made or written to: ${blocked}.`, fix)]
}

function checkLog(runFolder: RunFolder, logFile: string): Finding[] {
  // The run folder's own fate has been told.
  if (dirname(logFile) === runFolder.path && !existsSync(logFile)) return []
  const isFolder = statsOf(logFile)?.isDirectory()
  const blocked = isFolder
    ? 'it is a folder'
    : existsSync(logFile)
      ? blockedAt(logFile)
      : blockedAt(dirname(logFile), false)
  if (blocked === undefined) return []
  const fix =
    'A start in the background writes there: name a file in a folder that exists and this user may write to, with --log-file.'
  return [problem('GW-LOG-FILE', `The log ${logFile} cannot be written: ${blocked}.`, fix)]
}

/** Why a path cannot be written, or made where it may be made; undefined if it can be. */
function blockedAt(path: string, mayBeMade = true): string | undefined {
  const found = mayBeMade ? nearest(path) : path
  const stats = statsOf(found)
  if (stats === undefined) return `${found} does not exist`
  if (found !== path && !stats.isDirectory()) return `${found} is a file`
  try {
    accessSync(found, constants.W_OK)
    return undefined
  } catch {
    return `this user may not write to ${found}`
  }
}

/** The path, or what there is of it. */
function nearest(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearest(dirname(path))
}
