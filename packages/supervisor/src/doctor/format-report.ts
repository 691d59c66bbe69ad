import { styleText } from 'node:util'
import { printable } from '../printable.ts'
import type { Finding, PlacedExamination } from './examination.ts'

/** A finding, and everyone who found it. */
interface PlacedFinding extends Finding {
  where: string[]
}

/** What `doctor --json` prints. */
export interface DoctorReport {
  /** What was looked at, by whom: "Gateway #0: register 10.0.0.1:1236". */
  checks: string[]
  /** Problems first. */
  findings: PlacedFinding[]
}

/** All examinations as one report, in which a thing that several have found is there once. */
export function createReport(examinations: readonly PlacedExamination[]): DoctorReport {
  const findings = new Map<string, PlacedFinding>()
  for (const { findings: found, where } of examinations) {
    for (const finding of found) {
      const key = `${finding.code} ${finding.what}`
      const same = findings.get(key) ?? { ...finding, where: [] }
      if (!same.where.includes(where)) same.where.push(where)
      findings.set(key, same)
    }
  }
  return {
    checks: examinations.flatMap(({ checks, where }) => checks.map((check) => `${where}: ${check}`)),
    findings: [...findings.values()].sort((one, other) => rank(one) - rank(other)),
  }
}

/** Whether nothing keeps the cluster from working; warnings do not. */
export function isHealthy({ findings }: DoctorReport): boolean {
  return findings.every(({ severity }) => severity === 'warning')
}

/** A report for people: each finding with its code and place, what is so, and what to do; at the end how much there is. */
export function formatReport(report: DoctorReport, columns: number): string {
  const blocks = report.findings.map(({ code, fix, severity, what, where }) => {
    const head = style(`${severity} ${code}`, severity === 'problem' ? 'red' : 'yellow')
    return [
      `${head}  ${printable(where.join(', '))}`,
      ...wrap(what, columns),
      ...wrap(`Mend it: ${fix}`, columns),
      '',
    ].join('\n')
  })
  return [...blocks, summarize(report)].join('\n')
}

function style(text: string, color: 'red' | 'yellow'): string {
  return process.stdout.isTTY ? styleText(['bold', color], text) : text
}

function summarize({ checks, findings }: DoctorReport): string {
  const problems = findings.filter(({ severity }) => severity === 'problem').length
  const warnings = findings.length - problems
  const also = warnings === 0 ? '' : `, ${count(warnings, 'warning')}`
  return `${problems === 0 ? 'no problem' : count(problems, 'problem')} found${also}: ${checks.length} checks`
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function rank({ severity }: Finding): number {
  return severity === 'problem' ? 0 : 1
}

/** Lines of at most so many columns, each indented. */
function wrap(text: string, columns: number): string[] {
  const width = Math.max(40, Math.min(columns, 120) - 2)
  const lines: string[] = []
  for (const word of printable(text).split(/\s+/)) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length + 1 > width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines.map((line) => `  ${line}`)
}
