import { examineBinding } from '@gatewayworker/doctor'
import { RegisterServer } from '@gatewayworker/register'
import {
  credentialOptions,
  defineApp,
  explainRefusal,
  formatAddress,
  optionTypes,
  readCredentials,
  runIfMain,
} from '@gatewayworker/supervisor'

/** The register process: who is in the cluster. */
const app = defineApp({
  command: 'start_register',
  describe: 'Starts the register, which tells workers and backends where the gateways are.',
  module: import.meta.url,
  name: 'Register',
  options: {
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
  },
  ports: ({ listen }) => [{ host: listen.host, hostOption: '--listen', port: listen.port, portOption: '--listen' }],
  async examine(options) {
    const findings = await examineBinding(options.listen.host, options['secret-key'])
    return { checks: ['--listen and --secret-key'], findings }
  },
  async start(options, { log }) {
    const linkTimeoutMs = options['link-timeout'] * 1000
    const server = new RegisterServer({ ...options.listen, ...readCredentials(options), linkTimeoutMs, log })
    const address = await server.start().catch(explainRefusal)
    return { listen: formatAddress(address), stop: () => server.stop() }
  },
})

export default app
await runIfMain(app)
