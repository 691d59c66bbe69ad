import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { GatewayClient } from '../src/index.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

test('the table of methods has the methods of GatewayClient, and no others', () => {
  const listed = Array.from(readme.matchAll(/^\| `(\w+)\(/gm), ([, name]) => name)
  const methods = Object.entries(Object.getOwnPropertyDescriptors(GatewayClient.prototype))
    .filter(([name, { value }]) => typeof value === 'function' && name !== 'constructor')
    .map(([name]) => name)
  expect(listed.sort()).toEqual(methods.sort())
})
