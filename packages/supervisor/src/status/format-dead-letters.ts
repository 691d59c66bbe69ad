import type { DeadLetterRow } from '../define-app.ts'
import { type Column, formatTable } from '../text-table.ts'
import type { FoundDeadLetters } from './find-dead-letters.ts'

const columns: Column<DeadLetterRow>[] = [
  { heading: 'MESSAGE ID', cell: ({ messageId }) => messageId },
  { heading: 'TIME', cell: ({ time }) => time },
  { heading: 'EVENT', cell: ({ event }) => event },
  { heading: 'UID', cell: ({ uid = '-' }) => uid },
  { heading: 'CRASHES', align: 'right', cell: ({ workersDied }) => String(workersDied) },
  { heading: 'PAYLOAD', cell: ({ payload }) => payload },
]

/** What `dead-letters` shows on a terminal of so many columns. */
export function formatDeadLetters({ letters, refused, replayed, unanswered }: FoundDeadLetters, width: number): string {
  const lines = replayed.map((messageId) => `delivered again: ${messageId}`)
  for (const [messageId, why] of Object.entries(refused)) lines.push(`not delivered again: ${messageId}: ${why}`)
  if (letters.length > 0) lines.push(...formatTable(columns, letters, width))
  else lines.push('no dead letters')
  if (unanswered.length > 0) lines.push(`without those of ${unanswered.join(', ')}, which did not answer`)
  return lines.join('\n')
}
