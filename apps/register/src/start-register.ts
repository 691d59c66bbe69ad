import { examineBinding } from '@gatewayworker/doctor'
import { RegisterServer } from '@gatewayworker/register'
import {
  credentialOptions,
  defineApp,
  type Examination,
  explainRefusal,
  formatAddress,
  type OptionTable,
  type OptionValues,
  optionTypes,
  readCredentials,
  runIfMain,
} from '@gatewayworker/supervisor'

const registerOptions = {
  listen: {
    default: '127.0.0.1:1236',
    describe: 'Where gateways, workers and backends find it',
    type: optionTypes.address,
  },
  'link-timeout': {
    default: 80,
    describe: 'How long a process on another host may be silent until it counts as gone',
    type: optionTypes.positiveSeconds,
  },
  ...credentialOptions,
} satisfies OptionTable

async function examineOptions(options: OptionValues<typeof registerOptions>): Promise<Examination> {
  const findings = await examineBinding(options.listen.host, readCredentials(options).secretKey)
  return { checks: ['--listen and --secret-key'], findings }
}

/** The register process: who is in the cluster. */
const app = defineApp({
  command: 'start_register',
  describe: 'Starts the register, which tells workers and backends where the gateways are.',
  module: import.meta.url,
  name: 'Register',
  options: registerOptions,
  ports: ({ listen }) => [{ host: listen.host, hostOption: '--listen', port: listen.port, portOption: '--listen' }],
  examine: examineOptions,
  async start(options, { log }) {
    const linkTimeoutMs = options['link-timeout'] * 1000
    const server = new RegisterServer({ ...options.listen, ...readCredentials(options, log), linkTimeoutMs, log })
    const address = await server.start().catch(explainRefusal)
    const { findings } = await examineOptions(options)
    return {
      examine: () => examineOptions(options),
      listen: formatAddress(address),
      stop: () => server.stop(),
      warnings: findings.map(({ what }) => what),
    }
  },
})

export default app
await runIfMain(app)
