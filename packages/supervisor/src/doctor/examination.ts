/** Something that is wrong: a `problem` keeps the cluster from working as it should, a `warning` may do so one day. */
export interface Finding {
  /** Never changes, so that it can be searched for. */
  code: `GW-${string}`
  /** What to do about it: the option, the line, the command. */
  fix: string
  severity: 'problem' | 'warning'
  /** What is so, with the addresses and names that it is about. */
  what: string
}

/** What was looked at, each thing by a few words, and what was found. */
export interface Examination {
  checks: string[]
  findings: Finding[]
}

/** An examination of one process, or of this host. */
export interface PlacedExamination extends Examination {
  /** Such as "Gateway #0". */
  where: string
}

/** Something that keeps the cluster from working as it should. */
export function problem(code: Finding['code'], what: string, fix: string): Finding {
  return { code, fix, severity: 'problem', what }
}

/** Something that works now, and may not one day. */
export function warning(code: Finding['code'], what: string, fix: string): Finding {
  return { code, fix, severity: 'warning', what }
}

/** All of several examinations as one. */
export function joinExaminations(examinations: readonly Examination[]): Examination {
  return {
    checks: examinations.flatMap(({ checks }) => checks),
    findings: examinations.flatMap(({ findings }) => findings),
  }
}
