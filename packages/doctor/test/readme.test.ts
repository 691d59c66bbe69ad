import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

test('the README has every code that is in the source, in order, and no other', () => {
  const readme = readFileSync(`${ROOT}/packages/doctor/README.md`, 'utf8')
  const told = [...readme.matchAll(/^\| (GW-[A-Z-]+) +\|/gm)].map(([, code]) => code!)
  expect(told).toEqual([...codesInSource()].sort(byName))
})

function codesInSource(): Set<string> {
  const folders = ['packages', 'apps'].flatMap((parent) =>
    readdirSync(`${ROOT}/${parent}`).map((name) => `${ROOT}/${parent}/${name}/src`),
  )
  const files = folders.flatMap(sourcesIn)
  return new Set(
    files.flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/'(GW-[A-Z-]+)'/g)].map(([, code]) => code!)),
  )
}

function sourcesIn(folder: string): string[] {
  try {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    return names.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name}`)
  } catch {
    return [] // an app without sources of its own
  }
}

function byName(one: string, other: string): number {
  return one < other ? -1 : 1
}
