// The cases of the Autobahn test suite, by their numbers, against a gateway and a worker that echoes: websocket-conformance.md.
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { useCluster } from './cluster.ts'
import { closingCases } from './conformance/closing-cases.ts'
import { compressionCases } from './conformance/compression-cases.ts'
import { playEchoes } from './conformance/echo-case.ts'
import { fragmentationCases } from './conformance/fragmentation-cases.ts'
import { framingCases } from './conformance/framing-cases.ts'
import { limitCases } from './conformance/limit-cases.ts'
import { playScript } from './conformance/scripted-case.ts'
import { utf8Cases } from './conformance/utf8-cases.ts'
import type { TestClient } from './test-client.ts'

const EIGHT_MIB = 8 * 1024 * 1024
/** A thousand long messages, five cases at once, take a while. */
const CASE_TIMEOUT_MS = process.env.CONFORMANCE_MESSAGES === undefined ? 30_000 : 600_000
/** Of the suite, version 0.8.2. */
const PUBLISHED_CASES = 517

const cluster = useCluster({ events: 'echo.ts', gatewayArgs: ['--max-payload', String(EIGHT_MIB)] })
const port = (gateway = 0) => new URL(cluster.url(gateway)).port

const scripted = [...framingCases, ...fragmentationCases, ...utf8Cases, ...closingCases]
const played = [...scripted, ...limitCases, ...compressionCases].map(({ id }) => id)

/** Is told of everybody who leaves. */
let watcher: TestClient

beforeAll(async () => {
  watcher = await cluster.open()
  const [clientId = ''] = await cluster.backend().getAllClientIdList()
  await cluster.backend().joinGroup(clientId, 'watchers')
  await cluster.startGateway(['--compression'])
  await cluster.gateways[1]!.line({ msg: 'worker linked' })
})

describe.concurrent('a gateway does what the specification says in the case', { timeout: CASE_TIMEOUT_MS }, () => {
  it.each(scripted)('$id', (scriptedCase) => playScript(port(), scriptedCase))
  it.each(limitCases)('$id', (echoCase) => playEchoes(port(), echoCase))
  it.each(compressionCases)('$id', (echoCase) => playEchoes(port(1), echoCase))
})

it('every client of a case left once, however its case ended', async () => {
  const left = await watcher.take(played.length)
  expect(new Set(left).size).toBe(played.length)
  watcher.send('done')
  expect(await watcher.next()).toBe('done')
  expect(
    cluster.gateways.flatMap(({ lines }) => lines).filter(({ level }) => ['error', 'fatal'].includes(level)),
  ).toEqual([])
})

it('the table has every published case, and says rightly which are played', () => {
  const table = readFileSync(new URL('./websocket-conformance.md', import.meta.url), 'utf8')
  const rows = [...table.matchAll(/^\| (\d[^|]*?) *\|[^|]*\| *([^|]*?) *\|/gm)]
  const ids = (isPlayed: boolean) =>
    rows
      .filter(([, , result]) => (result !== 'not played') === isPlayed)
      .flatMap(([, cases = '']) => expandCases(cases))
  expect(ids(true).sort()).toEqual(played.toSorted())
  expect(new Set([...ids(true), ...ids(false)]).size).toBe(PUBLISHED_CASES)
})

/** The numbers in "1.1.1–8, 10.1.1". */
function expandCases(cases: string): string[] {
  return cases.split(', ').flatMap((range) => {
    const [, section, first, last = first] = /^(.*\.)(\d+)(?:–(\d+))?$/.exec(range)!
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => `${section}${Number(first) + index}`)
  })
}
