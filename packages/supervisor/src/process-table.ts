import { styleText } from 'node:util'
import type { GroupSummary } from './process-group.ts'
import { version } from './version.ts'

/** The table that a terminal shows when all groups are ready. */
export function formatProcessTable(groups: readonly GroupSummary[]): string {
  const rows = groups.map(({ count, listen, name }) => [name, listen === '' ? 'none' : listen, String(count)])
  const widths = ['process', 'listen', 'count'].map((heading, column) => {
    return Math.max(heading.length, ...rows.map((row) => row[column]!.length)) + 4
  })
  const line = (cells: string[]) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('')
  const width = Math.max(66, widths.reduce((sum, columnWidth) => sum + columnWidth) + '[OK]'.length)
  const rule = (title: string) => {
    const left = Math.floor((width - title.length) / 2)
    return (
      styleText('dim', '─'.repeat(left)) +
      styleText('bold', title) +
      styleText('dim', '─'.repeat(width - left - title.length))
    )
  }
  return [
    rule(' GATEWAYWORKER '),
    `version ${version}    Node.js ${process.versions.node}    ${process.platform} ${process.arch}`,
    rule(' PROCESSES '),
    styleText('dim', line(['process', 'listen', 'count', 'state'])),
    ...rows.map((row) => `${line(row)}${styleText('green', '[OK]')}`),
    rule(''),
  ].join('\n')
}
