import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AppMember, credentialOptions, optionsFrom } from '@gatewayworker/supervisor'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ClusterConfig, defineCluster } from '../src/cluster-config.ts'
import { defineConfigCluster } from '../src/config-cluster.ts'

let folder: string
let file: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-cluster-'))
  file = join(folder, 'gatewayworker.config.json')
  writeFileSync(join(folder, 'Events.ts'), '')
})
afterAll(() => rmSync(folder, { recursive: true }))

/** What a config file with these lists has, once its own options are read. */
function load(sections: object, values: { 'register-address'?: string[] } = {}): AppMember[] {
  const read = { common: { config: file, 'log-level': 'info' as const }, sections: { ...sections } }
  const { members } = defineConfigCluster(file).load({
    ...read,
    values: { ...optionsFrom(credentialOptions, { 'secret-key': 'S' }), 'register-address': undefined, ...values },
  })
  return members as AppMember[]
}

describe('the groups of a config file', () => {
  it('have the options of the flags, and what all of the cluster share', () => {
    const members = load({
      gateways: [
        { count: 2, lanIp: '10.0.0.2' },
        { listen: 'websocket://0.0.0.0:80', name: 'Other', startPort: 3000 },
      ],
      registers: [{ listen: '0.0.0.0:1236' }],
      workers: [{ events: './Events.ts', secretKey: 'own' }],
    })
    expect(members.map(({ app }) => app.name)).toEqual(['Register', 'BusinessWorker', 'Gateway', 'Gateway'])
    const registers = ['127.0.0.1:1236']
    expect(members.map(({ options }) => options)).toMatchObject([
      { listen: { host: '0.0.0.0', port: 1236 }, 'secret-key': 'S' },
      { count: 1, events: join(folder, 'Events.ts'), 'register-address': registers, 'secret-key': 'own' },
      { count: 2, 'lan-ip': '10.0.0.2', 'register-address': registers, 'secret-key': 'S' },
      { listen: { host: '0.0.0.0', port: 80 }, name: 'Other', 'start-port': 3000 },
    ])
  })

  it('use the registers that are named, of this host or another', () => {
    const elsewhere = ['10.0.0.1:1236', 'etcd://10.0.0.9:2379/shop']
    const [gateway] = load({ gateways: [{}] }, { 'register-address': elsewhere })
    expect(gateway!.options).toMatchObject({ 'register-address': elsewhere })
    const [alone] = load({ gateways: [{}] })
    expect(alone!.options).toMatchObject({ 'register-address': ['127.0.0.1:1236'] })
  })

  it('tell registers apart by their number', () => {
    const members = load({ registers: [{}, { listen: '127.0.0.1:1237' }] })
    expect(members.map(({ name }) => name)).toEqual(['Register1', 'Register2'])
  })

  it.each([
    [{}, /^FILE has no registers, workers or gateways$/],
    [{ gateways: {} }, /^"gateways" in FILE must be a list$/],
    [{ gateways: [7] }, /^gateways\[0\] of FILE must be an object of options$/],
    [{ gateways: [{}, { lisen: 'x' }] }, /^unknown option "lisen" in gateways\[1\] of FILE$/],
    [{ gateways: [{ startPort: 'x' }] }, /^"startPort" in gateways\[0\] of FILE must be a whole number/],
    [{ workers: [{}] }, /^"events" is missing in workers\[0\] of FILE$/],
    [
      { workers: [{ events: 'No.ts' }] },
      /^"events" in workers\[0\] of FILE must name a file that exists, not .*No\.ts$/,
    ],
  ])('with the mistake %j are refused, the place named', (sections, message) => {
    const pattern = new RegExp(message.source.replace('FILE', file))
    expect(() => load(sections)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(pattern), name: 'UsageError' }),
    )
  })

  it('call their options in messages as the file does', () => {
    const [gateway] = load({ gateways: [{}] })
    expect(gateway!.optionNames).toMatchObject({ '--start-port': `"startPort" in gateways[0] of ${file}` })
  })
})

it('defineCluster types a config file', () => {
  const config = defineCluster({
    gateways: [{ compression: true, registerAddress: ['10.0.0.1:1236'], slowClientPolicy: 'drop' }],
    workers: [{ events: './Events.ts', stopTimeout: 30 }],
  })
  expect(config.workers).toHaveLength(1)
  const mistakes: ClusterConfig[] = [
    // @ts-expect-error there is no such policy
    { gateways: [{ slowClientPolicy: 'wait' }] },
    // @ts-expect-error there is no such option
    { gateways: [{ lisen: 'websocket://0.0.0.0:1' }] },
    // @ts-expect-error a worker without Events
    { workers: [{ name: 'Idle' }] },
  ]
  expect(mistakes).toHaveLength(3)
})
