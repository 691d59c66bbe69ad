import { formatBytes, formatCount, formatDuration } from '../human-units.ts'
import { type Column, formatTable } from '../text-table.ts'
import type { ClusterStatus, ProcessStatus } from './cluster-status.ts'

/** A row of the table: a process, or the total, which has no more than figures. */
type Row = Partial<ProcessStatus>

/** What stands where a process has nothing to say. */
const NOTHING = '-'

const columns: Column<Row>[] = [
  { heading: 'PID', align: 'right', cell: ({ pid }) => String(pid ?? '') },
  { heading: 'PROCESS', cell: ({ index, name = 'total' }) => (index == null ? name : `${name} #${index}`) },
  // What every address of a gateway begins with says nothing.
  { heading: 'LISTEN', cell: ({ listen }) => listen?.replace(/^websocket:\/\//, '') ?? '' },
  { heading: 'UP', align: 'right', cell: formatUptime },
  { heading: 'LINK', cell: formatLinked },
  figure('CONNS', 'connections', formatCount),
  figure('REQS', 'requests', formatCount),
  figure('REQ/S', 'requestsPerSecond', formatCount),
  figure('SENDS', 'sends', formatCount),
  figure('LAG', 'eventLoopLagP99Ms', formatDuration),
  figure('CPU', 'cpuPercent', (percent) => `${Math.round(percent)}%`),
  figure('MEM', 'memoryBytes', formatBytes),
  figure('BUFFER', 'bufferedBytes', formatBytes),
  figure('PAUSED', 'pausedClients', formatCount),
  figure('SLOW', 'slowClients', formatCount),
  figure('REFUSED', 'refusedConnections', formatCount),
  figure('RESTARTS', 'restarts', formatCount),
]

/** The table of `status`, for a terminal of so many columns, and below it why processes are not linked. */
export function formatStatus(status: ClusterStatus, width: number): string {
  const { logFile, node, problems, processes, total, version } = status
  const heading = `gatewayworker ${version}  Node.js ${node}${logFile === null ? '' : `  log ${logFile}`}`
  return [heading, ...formatTable(columns, [...processes, total], width), ...problems].join('\n')
}

/** How long it has been up; of one that does not just run, what it does instead. */
function formatUptime({ condition, uptimeMs }: Row): string {
  if (condition === undefined) return ''
  return condition === 'ready' ? formatDuration(Math.max(uptimeMs ?? 0, 1000)) : condition
}

function formatLinked({ linked, name }: Row): string {
  if (linked == null) return name === undefined ? '' : NOTHING
  return linked ? 'yes' : 'no'
}

function figure(
  heading: string,
  name: {
    [Name in keyof ProcessStatus]: number extends ProcessStatus[Name] ? Name : never
  }[keyof ProcessStatus],
  format: (value: number) => string,
): Column<Row> {
  return {
    align: 'right',
    heading,
    cell(row) {
      const value = row[name]
      if (value == null) return row.name === undefined && !(name in row) ? '' : NOTHING
      return format(value)
    },
  }
}
