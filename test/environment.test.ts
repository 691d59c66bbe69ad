import businessworker from '@gatewayworker/app-businessworker'
import gateway from '@gatewayworker/app-gateway'
import register from '@gatewayworker/app-register'
import { expect, onTestFailed, onTestFinished, test } from 'vitest'
import { Program } from './program.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** Those that switch a check of clients off where they are left out. */
const REFUSED = ['GW_JWT_AUDIENCE', 'GW_JWT_ISSUER', 'GW_JWT_KEY_FILE', 'GW_JWT_SECRET', 'GW_JWT_SECRET_FILE']

/** On any free port, and with a register that is not there. */
const FLAGS: Record<string, readonly string[]> = {
  register: ['--listen', '127.0.0.1:0'],
  gateway: ['--listen', 'websocket://127.0.0.1:0', '--start-port', '0', '--register-address', '127.0.0.1:9'],
  businessworker: ['--register-address', '127.0.0.1:9'],
}

function start(kind: string, env: Record<string, string>): Program {
  const events = temporaryFolder({ 'Events.mjs': 'export function onMessage() {}' }).path('Events.mjs')
  const more = kind === 'businessworker' ? ['--events', events] : []
  const program = new Program(`apps/${kind}/dist/start-${kind}.js`, [...FLAGS[kind]!, ...more], env)
  onTestFailed(() => console.log(program.output))
  onTestFinished(() => program.killAll())
  return program
}

test.each([
  ['register', register.options],
  ['gateway', gateway.options],
  ['businessworker', businessworker.options],
])('start_%s takes an empty variable as one that is not given', async (kind, options) => {
  const names = [...Object.keys(options), 'config', 'log-level', 'run-dir']
  const variables = names.map((name) => `GW_${name.replaceAll('-', '_').toUpperCase()}`)
  const empty = variables.filter((name) => !REFUSED.includes(name)).map((name, at) => [name, at % 2 === 0 ? '' : ' '])
  await start(kind, Object.fromEntries(empty)).ready()
})

test.each(REFUSED)('an empty %s is refused, since it would let clients in that have to be kept out', async (name) => {
  const program = start('gateway', { [name]: '' })
  expect(await program.exited).toEqual({ code: 2, signal: null })
  expect(program.errors).toMatch(new RegExp(`^start_gateway: ${name} is empty, .*: give it a value, or unset it\n$`))
})

test('an empty variable of tokens is none beside one that is not', async () => {
  await start('gateway', { GW_JWT_KEY_FILE: '', GW_JWT_SECRET: 's'.repeat(48), GW_JWT_SECRET_FILE: ' ' }).ready()
})

test.each([
  ['gateway', 'GW_LAN_IP', 'a b', /^start_gateway: GW_LAN_IP must be a host name or IP address, not "a b"$/],
  [
    'gateway',
    'GW_LAN_LISTEN',
    'no.host.invalid',
    /^no address is known for the host name no\.host\.invalid; .*--lan-listen$/,
  ],
  ['gateway', 'GW_TLS_CA', '/dev/null', /^start_gateway: GW_TLS_CA must name a file, and \/dev\/null is none$/],
])('start_%s answers a wrong %s with one line', async (kind, name, value, line) => {
  const program = start(kind, { [name]: value })
  expect((await program.exited).code).not.toBe(0)
  const said = [...program.lines.map(({ msg }) => msg), ...program.errors.trimEnd().split('\n')].filter(Boolean)
  expect(said).toEqual([expect.stringMatching(line)])
})
