import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Command, CommandToGateway, CommandToWatcher, CommandToWorker, Flag, LinkCommand } from '../src/commands.ts'
import { ERROR_ADVICE } from '../src/errors.ts'

const PACKAGES = new URL('../../', import.meta.url)
const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

/** The rows of every table whose head begins with these columns, as cells. */
function rowsUnder(...columns: string[]): string[][] {
  const rows: string[][] = []
  let isInTable = false
  for (const line of README.split('\n')) {
    const cells = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
    if (!line.startsWith('|')) isInTable = false
    else if (isInTable) rows.push(cells)
    else isInTable = columns.every((column, at) => cells[at] === column)
  }
  return rows.filter(([first]) => !/^-+$/.test(first!))
}

const numbersByName = (table: object) => Object.entries(table).sort()

describe('the README', () => {
  const commands = rowsUnder('number', 'command')

  it('has every command with its number, once, and no other', () => {
    expect(commands.map(([number, name]) => [name, Number(number)]).sort()).toEqual(numbersByName(Command))
  })

  it('says of every command who sends it', () => {
    const senders = Object.fromEntries(commands.map(([, name, sender]) => [name, sender]))
    for (const name of Object.keys(LinkCommand)) expect(senders[name]).toMatch(/^(gateway|worker|backend|both)$/)
    for (const name of Object.keys({ ...CommandToWatcher, ...CommandToWorker })) expect(senders[name]).toBe('gateway')
    for (const name of Object.keys(CommandToGateway)) expect(senders[name]).toMatch(/^(worker|backend)$/)
  })

  it('has every flag with its bit, and no other', () => {
    expect(
      rowsUnder('bit', 'flag')
        .map(([bit, name]) => [name, Number(bit)])
        .sort(),
    ).toEqual(numbersByName(Flag))
  })

  it('has every error code with its advice, in order, and no other', () => {
    expect(rowsUnder('code', 'advice')).toEqual(Object.entries(ERROR_ADVICE))
    expect(Object.keys(ERROR_ADVICE)).toEqual(Object.keys(ERROR_ADVICE).sort())
  })
})

describe('the tables in the source', () => {
  it('have each number and each bit once', () => {
    const numbers = Object.values(Command)
    expect(new Set(numbers).size).toBe(numbers.length)
    expect(numbers.every((number) => number > 0 && number < 256)).toBe(true)
    const bits: number[] = Object.values(Flag)
    expect(bits.reduce((all, bit) => all | bit)).toBe(bits.reduce((sum, bit) => sum + bit))
  })

  it('have no error code that nobody uses', () => {
    const sources = readdirSync(PACKAGES).flatMap((name) => {
      const folder = new URL(`${name}/src/`, PACKAGES)
      return readdirSync(folder, { recursive: true })
        .filter((file) => String(file).endsWith('.ts') && file !== 'errors.ts')
        .map((file) => readFileSync(new URL(String(file), folder), 'utf8'))
    })
    const unused = Object.keys(ERROR_ADVICE).filter((code) => !sources.some((source) => source.includes(`'${code}'`)))
    expect(unused).toEqual([])
  })
})
