import { realpathSync } from 'node:fs'
import { dirname, isAbsolute } from 'node:path'
import { statsOf } from './stats-of.ts'
import { UsageError } from './usage-error.ts'

let startDirectory: string | undefined

/**
 * Leaves a working directory that was removed, which Node cannot work in, for what its path leads to by now: a shell stays in an old
 * release after `current` has become a link to another.
 */
export function enterDirectory(): void {
  try {
    process.cwd()
  } catch {
    try {
      process.chdir(process.env.PWD!)
    } catch {
      throw new UsageError('the working directory is gone: change to one that exists, and try again')
    }
  }
}

/** A directory as the user's shell calls it, by way of symbolic links that may lead elsewhere tomorrow; `env` is that of the shell. */
export function logicalDirectory(directory: string, { PWD }: Record<string, string | undefined>): string {
  return PWD !== undefined && isAbsolute(PWD) && isSame(PWD, directory) ? PWD : directory
}

/** Where child processes work: the directory of the start, or what is left of the way to it. A child cannot start in one that is gone. */
export function childDirectory(): string {
  startDirectory ??= logicalDirectory(process.cwd(), process.env)
  return nearestDirectory(startDirectory)
}

function nearestDirectory(path: string): string {
  const isThere = statsOf(path)?.isDirectory() === true
  return isThere || dirname(path) === path ? path : nearestDirectory(dirname(path))
}

function isSame(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other)
  } catch {
    return false
  }
}
