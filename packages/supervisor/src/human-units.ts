/** A count in at most five characters: `987`, `12.3k`, `4.56M`. */
export function formatCount(count: number): string {
  return scale(count, 1000, ['', 'k', 'M', 'G', 'T'])
}

/** A size: `987 B`, `12.3 MB`. */
export function formatBytes(bytes: number): string {
  return scale(bytes, 1024, [' B', ' kB', ' MB', ' GB', ' TB'])
}

/** A duration in its two largest units: `850ms`, `42s`, `3m 5s`, `2h 10m`, `12d 3h`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)}ms`
  const seconds = Math.floor(durationMs / 1000)
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${seconds % 60}s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h ${Math.floor((seconds % 3600) / 60)}m`
  return `${Math.floor(seconds / 86_400)}d ${Math.floor((seconds % 86_400) / 3600)}h`
}

function scale(value: number, base: number, units: readonly string[]): string {
  let scaled = value
  let unit = 0
  // 999.9 would be written as 1000.
  while (scaled >= base - 0.5 && unit < units.length - 1) {
    scaled /= base
    unit += 1
  }
  const digits = unit === 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2
  return `${scaled.toFixed(digits)}${units[unit]}`
}
