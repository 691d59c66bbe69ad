import { describe, expect, test } from 'vitest'
import { formatBytes, formatCount, formatDuration } from '../src/human-units.ts'
import { formatTable } from '../src/text-table.ts'
import { CommandedCluster } from './commanded.ts'

describe('status', () => {
  test('has what every process counts, and the total of all', async () => {
    const cluster = new CommandedCluster()
    const code =
      'let requests = 0; exports.stats = (index) => ({ connections: 4, requests: (requests += 50), sends: index })'
    await cluster.start('--module', cluster.write('one.cjs', code), '--count', '2')
    const { processes, total } = await cluster.status()
    expect(processes.map(({ index, name }) => [name, index])).toEqual([
      ['master', null],
      ['Holder', 0],
      ['Holder', 1],
      ['Worker1', 0],
      ['Worker1', 1],
    ])
    for (const status of processes) {
      expect(status).toMatchObject({ condition: 'ready', pid: expect.any(Number), restarts: 0 })
      expect(status.memoryBytes).toBeGreaterThan(10e6)
      expect(status.uptimeMs).toBeGreaterThan(0)
      expect(status.eventLoopLagP99Ms).toBeGreaterThanOrEqual(0)
      expect(status.cpuPercent).toBeGreaterThanOrEqual(0)
    }
    expect(processes[1]).toMatchObject({ bufferedBytes: 5, connections: 3, hasClients: true, listen: '127.0.0.1:7272' })
    expect(processes[4]).toMatchObject({
      bufferedBytes: null,
      connections: 4,
      hasClients: false,
      listen: null,
      sends: 1,
    })
    // Of 50 more requests in half a second or longer.
    expect(processes[4]!.requestsPerSecond).toBeGreaterThan(0)
    expect(processes[4]!.requestsPerSecond).toBeLessThanOrEqual(100)
    // What workers count came by way of those with clients, and is not counted twice.
    expect(total).toMatchObject({
      bufferedBytes: 10,
      connections: 6,
      pausedClients: 2,
      requests: 14,
      sends: 16,
      slowClients: 4,
    })
  })

  test('shows a process that does not answer as such, and the others beside it', async () => {
    const cluster = new CommandedCluster()
    await cluster.start('--module', cluster.write('one.cjs', ''), '--count', '2')
    const [stuck] = await cluster.processes('Worker1')
    process.kill(stuck!.pid!, 'SIGSTOP')
    const lines = (await cluster.run('status')).text.split('\n')
    process.kill(stuck!.pid!, 'SIGCONT')
    expect(lines.find((line) => line.includes('Worker1 #0'))).toContain(' silent ')
    expect(lines.find((line) => line.includes('Worker1 #1'))).not.toContain(' silent ')
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(120)
  })

  test('-d goes on where there is no terminal, until it is interrupted', async () => {
    const cluster = new CommandedCluster()
    await cluster.start('--module', cluster.write('one.cjs', ''))
    const { text, code } = await cluster.runUntil(/total[\s\S]+total/, 'status', '-d')
    expect(code).toBe(0)
    expect(text).not.toContain('\x1b[H')
  })
})

describe('connections', () => {
  test('are listed with filters and in pages that go on from process to process', async () => {
    const cluster = new CommandedCluster()
    await cluster.start('--module', cluster.write('one.cjs', ''))
    const find = async (...args: string[]) => {
      const { rows, total } = JSON.parse((await cluster.run('connections', '--json', ...args)).text)
      return { clients: rows.map(({ clientId }: { clientId: string }) => clientId), total }
    }
    expect(await find('--offset', '2', '--limit', '2')).toEqual({ clients: ['0c', '1a'], total: 6 })
    expect(await find('--uid', 'uid-b')).toEqual({ clients: ['0b', '1b'], total: 2 })
    expect(await find('--ip', '10.0.0.3', '--group', 'red')).toEqual({ clients: ['0c', '1c'], total: 2 })
    expect(await find('--group', 'blue')).toEqual({ clients: [], total: 0 })
    const { text } = await cluster.run('connections', '--offset', '4')
    expect(text).toMatch(
      /^1b +127\.0\.0\.1:2900 +10\.0\.0\.2:1000 +uid-b +1 +127\.0\.0\.1:Worker1:0 +10 B +1\.91 MB +1m 30s$/m,
    )
    expect(text).toMatch(/\n5 to 6 of 6\n$/)
  })

  test('of a process that does not answer are missing, which is said', async () => {
    const cluster = new CommandedCluster()
    await cluster.start('--module', cluster.write('one.cjs', ''))
    const [, stuck] = await cluster.processes('Holder')
    process.kill(stuck!.pid!, 'SIGSTOP')
    const { text } = await cluster.run('connections')
    process.kill(stuck!.pid!, 'SIGCONT')
    expect(text).toMatch(/1 to 3 of 3\nwithout those of Holder #1, which did not answer\n$/)
  })
})

describe('a table', () => {
  const columns = [
    { cell: (row: string[]) => row[0]!, heading: 'NAME' },
    { align: 'right' as const, cell: (row: string[]) => row[1]!, heading: 'N' },
  ]

  test('is aligned, also in Chinese, and escape sequences move nothing', () => {
    const [, ...lines] = formatTable(columns, [
      ['小明', '1'],
      ['\x1b[2Jbob', '22'],
    ])
    expect(lines).toEqual(['小明      1', '?[2Jbob  22'])
  })

  test('has a narrower gap where two spaces do not fit', () => {
    expect(formatTable(columns, [['abcd', '12']], 8)[1]).toBe('abcd  12')
    expect(formatTable(columns, [['abcd', '12']], 7)[1]).toBe('abcd 12')
  })
})

test('figures are written for people', () => {
  expect([0, 999, 1000, 12_345, 999_949, 999_999, 5e9].map(formatCount)).toEqual([
    '0',
    '999',
    '1.00k',
    '12.3k',
    '1.00M',
    '1.00M',
    '5.00G',
  ])
  expect([0, 1023, 1024, 1e6, 5e9].map(formatBytes)).toEqual(['0 B', '1023 B', '1.00 kB', '977 kB', '4.66 GB'])
  expect([0, 999, 59_999, 60_000, 3_600_000, 90_000_000].map(formatDuration)).toEqual([
    '0ms',
    '999ms',
    '59s',
    '1m 0s',
    '1h 0m',
    '1d 1h',
  ])
})
