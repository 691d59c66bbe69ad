import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { CloseCode, GATEWAY_DEFAULTS } from '../src/index.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

/** The rows of the table under a heading, cell by cell, without its two head lines. */
function tableUnder(heading: string): string[][] {
  const section = readme.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

test('the table of close codes has the codes of the source, and no others', () => {
  const named = tableUnder('Close codes').filter(([, name]) => name !== '')
  expect(Object.fromEntries(named.map(([code, name]) => [name!.replaceAll('`', ''), Number(code)]))).toEqual(CloseCode)
})

test('the table of options has every option with its default', () => {
  const defaults = new Map(tableUnder('Options').map(([name, value]) => [name!.replaceAll('`', ''), value]))
  for (const [name, value] of Object.entries(GATEWAY_DEFAULTS)) {
    const text = JSON.stringify(value).replaceAll('"', "'").replaceAll(',', ', ')
    expect(defaults.get(name), name).toBe(name === 'log' ? 'none' : `\`${text}\``)
  }
  const withoutDefault = ['jwt', 'lanHost', 'maxBufferedBytes', 'registerAddresses', 'ssl', 'tls']
  expect([...defaults.keys()].sort()).toEqual([...Object.keys(GATEWAY_DEFAULTS), ...withoutDefault].sort())
})
