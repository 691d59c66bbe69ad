import { styleText } from 'node:util'
import stringWidth from 'string-width'

/** A column of a table: its heading, what stands in it for a row, and on which side; numbers belong to the right. */
export interface Column<Row> {
  align?: 'left' | 'right'
  cell(row: Row): string
  heading: string
}

/** The lines of a table, columns as wide as need be and two spaces apart, or one where they would not fit into `width`. */
export function formatTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width = Number.POSITIVE_INFINITY,
): string[] {
  const cells = rows.map((row) => columns.map((column) => printable(column.cell(row))))
  const widths = columns.map(({ heading }, at) => {
    return Math.max(heading.length, ...cells.map((row) => stringWidth(row[at]!)))
  })
  const total = widths.reduce((sum, columnWidth) => sum + columnWidth + 2, -2)
  const gap = total <= width ? '  ' : ' '
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => pad(cell, widths[at]!, columns[at]!.align))
      .join(gap)
      .trimEnd()
  return [styleText('bold', line(columns.map(({ heading }) => heading))), ...cells.map(line)]
}

function pad(cell: string, width: number, align: 'left' | 'right' = 'left'): string {
  const spaces = ' '.repeat(Math.max(0, width - stringWidth(cell)))
  return align === 'right' ? spaces + cell : cell + spaces
}

/** What clients and users named must not move the cursor. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Cf}/gu, '?')
}
