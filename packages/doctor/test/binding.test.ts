import { expect, it } from 'vitest'
import { examineBinding } from '../src/examine-binding.ts'

const LONG = 'the secret of this cluster'

it.each([
  ['127.0.0.1', LONG, []],
  ['127.0.0.1', '', []],
  ['127.0.0.1', 'S', ['warning GW-SECRET-WEAK']],
  ['10.0.0.1', LONG, []],
  ['10.0.0.1', '', ['warning GW-SECRET-MISSING']],
  ['10.0.0.1', 'S', ['problem GW-SECRET-WEAK']],
  ['0.0.0.0', LONG, []],
  ['0.0.0.0', '', ['problem GW-SECRET-MISSING']],
  ['0.0.0.0', 'S', ['problem GW-SECRET-WEAK']],
  ['no such host', '', []], // that is found when its port is tried
])('a port at %s with the secret %j: %j', async (host, secretKey, expected) => {
  const findings = await examineBinding(host, secretKey)
  expect(findings.map(({ code, severity }) => `${severity} ${code}`)).toEqual(expected)
  for (const { fix } of findings) expect(fix).toContain('openssl rand -hex 24')
  for (const { what } of findings) expect(what).not.toMatch(/\bS\b/)
})

it('says what it means that there is no secret on a private network', async () => {
  const [finding] = await examineBinding('10.0.0.1', '')
  expect(finding?.what).toContain('announce any address')
})
