import { fileURLToPath } from 'node:url'
import businessworker from '@gatewayworker/app-businessworker'
import gateway from '@gatewayworker/app-gateway'
import register from '@gatewayworker/app-register'
import {
  type AppMember,
  type ClusterDefinition,
  type ClusterMember,
  formatAddress,
  optionsFrom,
  optionTypes,
} from '@gatewayworker/supervisor'

const options = {
  'register-address': { ...register.options.listen, describe: 'Where the register listens' },
  listen: { ...gateway.options.listen, default: 'websocket://127.0.0.1:7272' },
  'start-port': gateway.options['start-port'],
  port: { default: 55151, describe: 'Port of the chat page', type: optionTypes.port },
  watch: businessworker.options.watch,
}

/**
 * The demo cluster on this machine: a register, two gateways, two business workers with the chat's Events.ts, and the server of the
 * chat page.
 */
export const demoCluster: ClusterDefinition<typeof options> = {
  describe: 'Starts the demo cluster, as there is no config file.',
  load({ values }) {
    const registerAddress = formatAddress(values['register-address'])
    const pageUrl = `http://127.0.0.1:${values.port}`
    // They stop from the last to the first: clients leave while there are workers to tell.
    const members: ClusterMember[] = [
      {
        app: register,
        optionNames: { '--listen': '--register-address' },
        options: optionsFrom(register.options, { listen: registerAddress }),
      } as AppMember,
      {
        app: businessworker,
        options: optionsFrom(businessworker.options, {
          count: 2,
          events: fileURLToPath(import.meta.resolve('@gatewayworker/app-chat/Events.ts')),
          name: 'ChatWorker',
          'register-address': registerAddress,
          watch: values.watch,
        }),
      } as AppMember,
      {
        app: gateway,
        options: optionsFrom(gateway.options, {
          count: 2,
          listen: `websocket://${formatAddress(values.listen)}`,
          name: 'ChatGateway',
          'register-address': registerAddress,
          'start-port': values['start-port'],
        }),
      } as AppMember,
      {
        args: ['--port', String(values.port), '--gateway-port', String(values.listen.port)],
        listen: pageUrl,
        name: 'ChatPage',
        script: fileURLToPath(import.meta.resolve('@gatewayworker/app-chat')),
      },
    ]
    return { members, openUrl: pageUrl }
  },
  options,
  runFolder: fileURLToPath(new URL('../../../.gatewayworker-demo', import.meta.url)),
}
