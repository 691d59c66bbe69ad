import { isPlainObject } from './codec.ts'
import { DEFAULT_MAX_FRAME_BYTES } from './frame.ts'

/** The longest session, in bytes: it must fit into a frame, with room for what travels beside it. */
export const MAX_SESSION_BYTES = DEFAULT_MAX_FRAME_BYTES / 2

type SessionMap = Record<string, unknown>

/** What UPDATE_SESSION does, at the gateway and in a worker's copy: maps merge by key at every depth, lists by index, anything else replaces. */
export function mergeSessions(base: SessionMap, patch: SessionMap): SessionMap {
  const merged: SessionMap = { ...base }
  for (const key of Object.keys(patch)) merged[key] = mergeValues(merged[key], patch[key])
  return merged
}

function mergeValues(base: unknown, patch: unknown): unknown {
  if (isPlainObject(base) && isPlainObject(patch)) return mergeSessions(base, patch)
  if (!Array.isArray(base) || !Array.isArray(patch)) return patch
  const length = Math.max(base.length, patch.length)
  return Array.from({ length }, (_, at) => (at in patch ? mergeValues(base[at], patch[at]) : base[at]))
}
