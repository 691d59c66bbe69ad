import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { BusinessWorker, type Events } from '@gatewayworker/businessworker'
import { defineApp, formatAddress, type OptionTable, optionTypes, runIfMain } from '@gatewayworker/supervisor'

const { address, bytes, file, flag, integer, list, text } = optionTypes

const businessworker = import.meta.resolve('@gatewayworker/businessworker')

/** What the user's modules get the running copy of, wherever on disk they are; the second as the first one sees it. */
const provided = {
  '@gatewayworker/businessworker': businessworker,
  '@gatewayworker/gateway-client': pathToFileURL(createRequire(businessworker).resolve('@gatewayworker/gateway-client'))
    .href,
}

const options = {
  events: { describe: 'Your Events.ts or Events.js', required: true, type: file },
  name: {
    default: 'BusinessWorker',
    describe: 'Name of the group in logs and tables, and to the gateways',
    type: text,
  },
  count: { default: 1, describe: 'How many processes', type: integer(1, 1024) },
  'register-address': {
    default: ['127.0.0.1:1236'],
    describe: 'A register to watch; may be repeated',
    type: list(address),
  },
  'secret-key': { default: '', describe: 'What every process of the cluster must know', type: text },
  'send-to-gateway-buffer-size': { default: 10_240_000, describe: 'Output that may wait for one gateway', type: bytes },
  watch: { default: false, describe: 'Start again whenever a file of yours changes', type: flag },
} satisfies OptionTable

/** The business worker processes: they run the user's Events. */
const app = defineApp({
  command: 'start_businessworker',
  describe: 'Starts business workers, which run your Events.ts.',
  module: import.meta.url,
  name: 'BusinessWorker',
  options,
  async start(options, { index, loadModule, log, name, restartOnChange }) {
    if (options.watch) restartOnChange()
    const worker = new BusinessWorker({
      events: (await loadModule(options.events, provided)) as Events,
      id: index,
      log,
      name,
      registerAddresses: options['register-address'].map(formatAddress),
      secretKey: options['secret-key'],
      sendToGatewayBufferSizeBytes: options['send-to-gateway-buffer-size'],
    })
    await worker.start()
    return { details: { events: options.events }, stop: () => worker.stop() }
  },
})

export default app
await runIfMain(app)
