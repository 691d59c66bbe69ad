import { readFileSync } from 'node:fs'
import businessworker from '@gatewayworker/app-businessworker'
import gateway from '@gatewayworker/app-gateway'
import register from '@gatewayworker/app-register'
import { GatewayClient } from '@gatewayworker/gateway-client'
import { describe, expect, it } from 'vitest'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

/** The lines between a heading and the next. */
function section(heading: string): string {
  const [, text] = readme.split(`\n## ${heading}\n`)
  if (text === undefined) throw new Error(`the README has no section ${heading}`)
  return text.split('\n## ')[0]!
}

/** What no option table has, because every program has it. */
const COMMON = ['--config', '--log-level', '--run-dir']
const APPS = { gateway, register, worker: businessworker }

describe('the README', () => {
  const rows = section('Options')
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter(([, option]) => option?.startsWith('`--'))
    .map(([, option = '', defaults = '', of = '']) => ({ default: defaults, of, option: option.replaceAll('`', '') }))

  it.each(Object.entries(APPS))('lists the options of the %s, with their defaults', (name, { options }) => {
    const listed = rows.filter((row) => row.of === 'all' || row.of.split(', ').includes(name))
    const expected = Object.keys(options).map((option) => `--${option}`)
    expect(
      listed
        .map((row) => row.option)
        .filter((option) => !COMMON.includes(option))
        .sort(),
    ).toEqual(expected.sort())
    for (const [option, { default: value }] of Object.entries<{ default?: unknown; describe: string }>(options)) {
      const row = listed.find((candidate) => candidate.option === `--${option}`)
      if (value !== undefined && value !== '') expect(row?.default, option).toContain(String(value))
    }
  })

  it('lists every method of the API and no other', () => {
    const listed = Array.from(section('The API').matchAll(/`([a-z][A-Za-z]+)`/g), (match) => match[1]!)
    const { prototype } = GatewayClient
    const descriptors = Object.entries(Object.getOwnPropertyDescriptors(prototype))
    const methods = descriptors.filter(([, { value }]) => typeof value === 'function').map(([name]) => name)
    const notForUsers = ['constructor', 'close', 'usePool']
    expect(listed.sort()).toEqual(methods.filter((name) => !notForUsers.includes(name)).sort())
  })
})
