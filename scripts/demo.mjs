// `npm start`: the demo cluster on this machine, which is a register, two gateways, two business workers with the chat's
// Events.ts, and the server of the chat page.
import { fileURLToPath } from 'node:url'
import businessworker from '@gatewayworker/app-businessworker'
import gateway from '@gatewayworker/app-gateway'
import register from '@gatewayworker/app-register'
import { formatAddress, optionsFrom, optionTypes, runCluster, runMain } from '@gatewayworker/supervisor'

const chat = (file) => fileURLToPath(new URL(`../apps/chat/${file}`, import.meta.url))

const options = {
  'register-address': { ...register.options.listen, describe: 'Where the register listens' },
  listen: { ...gateway.options.listen, default: 'websocket://127.0.0.1:7272' },
  'start-port': gateway.options['start-port'],
  port: { default: 55151, describe: 'Port of the chat page', type: optionTypes.port },
  watch: businessworker.options.watch,
}

await runMain({ command: 'start', describe: 'Starts the demo cluster.', options }, async (given, common) => {
  const registerAddress = formatAddress(given['register-address'])
  const pageUrl = `http://127.0.0.1:${given.port}`
  // They stop from the last to the first: clients leave while there are workers to tell.
  const members = [
    {
      app: register,
      optionNames: { '--listen': '--register-address' },
      options: optionsFrom(register.options, { listen: registerAddress }),
    },
    {
      app: businessworker,
      options: optionsFrom(businessworker.options, {
        count: 2,
        events: chat('Events.ts'),
        name: 'ChatWorker',
        'register-address': registerAddress,
        watch: given.watch,
      }),
    },
    {
      app: gateway,
      options: optionsFrom(gateway.options, {
        count: 2,
        listen: `websocket://${formatAddress(given.listen)}`,
        name: 'ChatGateway',
        'register-address': registerAddress,
        'start-port': given['start-port'],
      }),
    },
    {
      args: ['--port', String(given.port), '--gateway-port', String(given.listen.port)],
      listen: pageUrl,
      name: 'ChatPage',
      script: chat('dist/start-page.js'),
    },
  ]
  await runCluster(members, { logLevel: common['log-level'], openUrl: pageUrl })
})
