import { type Stats, statSync } from 'node:fs'

/** What is at a path; undefined where there is nothing, or nothing that this user can see. Node throws where a part of the way is a file. */
export function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}
