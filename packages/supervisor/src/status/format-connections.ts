import type { ConnectionRow } from '../define-app.ts'
import { formatBytes, formatCount, formatDuration } from '../human-units.ts'
import { type Column, formatTable } from '../text-table.ts'
import type { FoundConnections } from './find-connections.ts'

const columns: Column<ConnectionRow>[] = [
  { heading: 'CLIENT ID', cell: ({ clientId }) => clientId },
  { heading: 'GATEWAY', cell: ({ gateway }) => gateway },
  { heading: 'ADDRESS', cell: ({ address }) => address },
  { heading: 'UID', cell: ({ uid = '-' }) => uid },
  { heading: 'GROUPS', align: 'right', cell: ({ groups }) => formatCount(groups) },
  { heading: 'WORKER', cell: ({ worker = '-' }) => worker },
  { heading: 'IN', align: 'right', cell: ({ bytesIn }) => formatBytes(bytesIn) },
  { heading: 'OUT', align: 'right', cell: ({ bytesOut }) => formatBytes(bytesOut) },
  { heading: 'IDLE', align: 'right', cell: ({ idleMs }) => formatDuration(idleMs) },
]

/** The table of `connections`, for a terminal of so many columns, and below it which part of all this is. */
export function formatConnections(
  { rows, total, unanswered }: FoundConnections,
  offset: number,
  width: number,
): string {
  const lines = rows.length === 0 ? [] : formatTable(columns, rows, width)
  lines.push(`${rows.length === 0 ? 'none' : `${offset + 1} to ${offset + rows.length}`} of ${total}`)
  if (unanswered.length > 0) lines.push(`without those of ${unanswered.join(', ')}, which did not answer`)
  return lines.join('\n')
}
