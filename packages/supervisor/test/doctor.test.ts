import { describe, expect, it } from 'vitest'
import { problem, warning } from '../src/doctor/examination.ts'
import { checkBacklog, checkMemory, checkNode } from '../src/doctor/examine-host.ts'
import { createReport, formatReport, isHealthy } from '../src/doctor/format-report.ts'

describe('what a host offers', () => {
  const codes = (findings: { code: string }[]) => findings.map(({ code }) => code)

  it.each([
    ['18.20.8', ['GW-NODE-OLD']],
    ['20.18.3', ['GW-NODE-OLD']],
    ['20.19.0', []],
    ['22.0.0', []],
  ])('Node.js %s', (version, expected) => {
    expect(codes(checkNode(version))).toEqual(expected)
  })

  it('memory for all processes', () => {
    expect(codes(checkMemory(1_000_000_000, 10))).toEqual([])
    expect(codes(checkMemory(999_999_999, 10))).toEqual(['GW-MEMORY-LOW'])
  })

  it('room for connections that wait', () => {
    expect(codes(checkBacklog(4096))).toEqual([])
    expect(codes(checkBacklog(128))).toEqual(['GW-BACKLOG-LOW'])
  })
})

describe('a report', () => {
  const broken = problem('GW-DNS', 'The name is unknown.', 'Correct it.')
  const odd = warning('GW-VERSION', 'The version is old.', 'Upgrade.')

  it('has what several have found once, problems first', () => {
    const report = createReport([
      { checks: ['a'], findings: [odd], where: 'Gateway #0' },
      { checks: ['a', 'b'], findings: [odd, broken], where: 'Gateway #1' },
    ])
    expect(report).toEqual({
      checks: ['Gateway #0: a', 'Gateway #1: a', 'Gateway #1: b'],
      findings: [
        { ...broken, where: ['Gateway #1'] },
        { ...odd, where: ['Gateway #0', 'Gateway #1'] },
      ],
    })
    expect(isHealthy(report)).toBe(false)
    expect(formatReport(report, 80)).toBe(`problem GW-DNS  Gateway #1
  The name is unknown.
  Mend it: Correct it.

warning GW-VERSION  Gateway #0, Gateway #1
  The version is old.
  Mend it: Upgrade.

1 problem found, 1 warning: 3 checks`)
  })

  it('with warnings only is a healthy one', () => {
    const report = createReport([{ checks: ['a'], findings: [odd], where: 'this host' }])
    expect(isHealthy(report)).toBe(true)
    expect(formatReport(report, 80)).toMatch(/no problem found, 1 warning: 1 checks$/)
  })

  it('has no line that is too long', () => {
    const long = problem('GW-DNS', 'word '.repeat(50), 'Correct it.')
    const text = formatReport(createReport([{ checks: [], findings: [long], where: 'this host' }]), 60)
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(60)
  })
})
