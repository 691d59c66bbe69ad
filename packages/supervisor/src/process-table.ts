import { styleText } from 'node:util'
import { printable } from './printable.ts'
import type { GroupSummary } from './process-group.ts'
import type { LinkSummary, ReadySummary } from './run-cluster.ts'
import { version } from './version.ts'

/** What stands in place of [OK]. */
const NOT_LINKED = '[NOT LINKED]'

/** What a start shows: the table, a last line, and between them what to open, what is odd and who is not linked. */
export function describeStart(
  { groups, openUrl, warnings }: ReadySummary,
  { problems, unlinked }: LinkSummary,
  lastLine: string,
): string {
  const open = openUrl === undefined ? [] : [`Open ${openUrl}`]
  const links =
    problems.length === 0
      ? []
      : ['Not every process is linked; those that are not keep trying:', ...problems.map(printable)]
  const odd = warnings.map((warning) => `Warning: ${printable(warning)}`)
  return [formatProcessTable(groups, unlinked), ...odd, ...links, ...open, lastLine].join('\n')
}

function formatProcessTable(groups: readonly GroupSummary[], unlinked: readonly string[]): string {
  const rows = groups.map(({ count, listen, name }) => [name, listen === '' ? 'none' : listen, String(count)])
  const widths = ['process', 'listen', 'count'].map((heading, column) => {
    return Math.max(heading.length, ...rows.map((row) => row[column]!.length)) + 4
  })
  const line = (cells: string[]) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('')
  const width = Math.max(66, widths.reduce((sum, columnWidth) => sum + columnWidth) + NOT_LINKED.length)
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
    ...rows.map(
      (row) =>
        `${line(row)}${unlinked.includes(row[0]!) ? styleText('yellow', NOT_LINKED) : styleText('green', '[OK]')}`,
    ),
    rule(''),
  ].join('\n')
}
