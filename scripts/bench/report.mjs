/**
 * A row with what every round measured: figures in the order of the rounds, so that equal indexes are a pair.
 *
 * @typedef {import('./scenarios.mjs').Row & { ours: import('./scenarios.mjs').Figure[], other: import('./scenarios.mjs').Figure[] }} MeasuredRow
 */

/**
 * What the rounds of one row come to. The ratio is the median of the pairs' ratios and not the ratio of the medians: the
 * two of a pair ran within seconds of each other, so what else the machine did weighs on both.
 *
 * @param {MeasuredRow} row
 */
export function summarize({ ours, other, ...row }) {
  const ratio = median(ours.map(({ value }, round) => value / other[round].value))
  const cpuRatio = ours[0].cpuUs && median(ours.map(({ cpuUs }, round) => cpuUs / other[round].cpuUs))
  return {
    ...row,
    ours: { ...medians(ours), rounds: ours },
    other: { ...medians(other), rounds: other },
    ratio,
    cpuRatio,
    isAsExpected: row.atLeast === undefined ? undefined : ratio >= row.atLeast,
  }
}

/** The summaries as a table; `other` is what ours is compared with. */
export function formatTable(summaries, other) {
  const lines = [
    ['', '', 'ours', other, 'CPU each: ours', other, 'p50 / p99: ours', other, `ours / ${other}`, 'CPU'],
    ...summaries.map(({ name, unit, ours, other, ratio, cpuRatio }) => [
      name,
      unit,
      formatValue(ours.value),
      formatValue(other.value),
      formatCpu(ours),
      formatCpu(other),
      formatLatencies(ours),
      formatLatencies(other),
      `${ratio.toFixed(2)} ×`,
      cpuRatio === undefined ? '' : `${cpuRatio.toFixed(2)} ×`,
    ]),
  ]
  const widths = lines[0].map((_, column) => Math.max(...lines.map((cells) => cells[column].length)))
  const isText = (column) => column < 2
  return lines
    .map((cells) =>
      cells.map((cell, column) => (isText(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))),
    )
    .map((cells) => cells.join('  '))
    .join('\n')
}

/** One line for each expectation, each with its end; '' when no row has one. */
export function formatExpectations(summaries, other) {
  return summaries
    .filter(({ atLeast }) => atLeast !== undefined)
    .map(({ name, atLeast, ratio, isAsExpected }) => {
      const verdict = isAsExpected ? 'held' : 'NOT held'
      return `${name}: expected at least ${atLeast} × ${other}, measured ${ratio.toFixed(2)} ×: ${verdict}\n`
    })
    .join('')
}

/** A row of a Markdown table. */
export function formatRow(cells) {
  return `| ${cells.join(' | ')} |`
}

function medians(figures) {
  const medianOf = (key) => (figures[0][key] === undefined ? undefined : median(figures.map((figure) => figure[key])))
  return { value: medianOf('value'), cpuUs: medianOf('cpuUs'), p50Us: medianOf('p50Us'), p99Us: medianOf('p99Us') }
}

/** The one in the middle, or the mean of the two that are. */
export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Large values as whole numbers in groups of three digits, small ones with one decimal. */
function formatValue(value) {
  return value < 1000 ? value.toFixed(1) : Math.round(value).toLocaleString('en').replaceAll(',', ' ')
}

function formatCpu({ cpuUs }) {
  return cpuUs === undefined ? '' : `${cpuUs.toFixed(2)} µs`
}

function formatLatencies({ p50Us, p99Us }) {
  return p50Us === undefined ? '' : `${(p50Us / 1000).toFixed(1)} / ${(p99Us / 1000).toFixed(1)} ms`
}
