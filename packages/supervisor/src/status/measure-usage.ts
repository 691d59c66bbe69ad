import pidusage from 'pidusage'

/** What the system says of a process. */
export interface ProcessUsage {
  /** Of one core, since the last time that it was measured; 0 the first time. */
  cpuPercent: number
  memoryBytes: number
}

/** What the system says of each process; those that are gone are left out, and all where the system says nothing. */
export async function measureUsage(pids: readonly number[]): Promise<Map<number, ProcessUsage>> {
  const usage = new Map<number, ProcessUsage>()
  try {
    for (const [pid, stats] of Object.entries(await pidusage([...pids]))) {
      usage.set(Number(pid), { cpuPercent: Math.round(stats.cpu * 10) / 10, memoryBytes: stats.memory })
    }
  } catch {
    // No process is left, or there is no such command on this system: the rest of the table is worth as much.
  }
  return usage
}
