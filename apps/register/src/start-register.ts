import { RegisterServer } from '@gatewayworker/register'
import { defineApp, formatAddress, optionTypes, runIfMain } from '@gatewayworker/supervisor'

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
    'secret-key': { default: '', describe: 'What every process of the cluster must know', type: optionTypes.text },
  },
  ports: ({ listen }) => [{ hostOption: '--listen', port: listen.port, portOption: '--listen' }],
  async start({ listen, 'secret-key': secretKey }, { log }) {
    const server = new RegisterServer({ ...listen, log, secretKey })
    return { listen: formatAddress(await server.start()), stop: () => server.stop() }
  },
})

export default app
await runIfMain(app)
