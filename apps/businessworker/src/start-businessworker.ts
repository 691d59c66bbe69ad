import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import {
  BusinessWorker,
  type BusinessWorkerOptions,
  callProcessTimeoutHandler,
  describeCurrentEvent,
  type Events,
} from '@gatewayworker/businessworker'
import {
  credentialOptions,
  defineApp,
  type OptionTable,
  optionTypes,
  readCredentials,
  runIfMain,
  startWatchdog,
  UsageError,
} from '@gatewayworker/supervisor'
import { examineOptions, examineRunning } from './examine-worker.ts'

const { bytes, file, flag, integer, list, name, positiveSeconds, registerAddress, seconds } = optionTypes

const businessworker = import.meta.resolve('@gatewayworker/businessworker')

/** The part of the time for a stop that is for handlers; the rest is for onWorkerStop. */
const HANDLERS_SHARE = 0.8

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
    type: name,
  },
  count: { default: 1, describe: 'How many processes', type: integer(1, 1024) },
  'event-timeout': {
    default: 60,
    describe: 'How long an async handler may take to settle before its client is closed; 0 for any time',
    type: seconds,
  },
  'gateway-lost-timeout': {
    default: 30,
    describe: 'How long no register may know a gateway until its clients get their onClose',
    type: seconds,
  },
  'link-timeout': {
    default: 45,
    describe: 'How long a gateway or register may be silent until it counts as cut off',
    type: positiveSeconds,
  },
  'process-timeout': {
    default: 30,
    describe:
      'A handler that blocks the process for so long is logged; after as long again the process is replaced; 0: never',
    type: seconds,
  },
  'register-address': {
    default: ['127.0.0.1:1236'],
    describe: 'A register to watch, or an etcd; may be repeated',
    type: list(registerAddress),
  },
  ...credentialOptions,
  'send-to-gateway-buffer-size': {
    default: 10_240_000,
    describe: 'Output that may wait for one gateway before sends to it reject',
    type: bytes,
  },
  'stop-timeout': {
    default: 10,
    describe: 'How long running handlers may take at a stop or reload before the process is killed',
    type: seconds,
  },
  watch: { default: false, describe: 'Start again whenever a file of yours changes', type: flag },
} satisfies OptionTable

/** The business worker processes: they run the user's Events. */
const app = defineApp({
  command: 'start_businessworker',
  describe: 'Starts business workers, which run your Events.ts.',
  module: import.meta.url,
  name: 'BusinessWorker',
  options,
  reloadable: true,
  examine: (options, context) => examineOptions(options, context, provided),
  async start(options, { index, loadModule, log, name, restartOnChange, whenPlaceIsFree }) {
    if (options.watch) restartOnChange()
    const events = (await loadModule(options.events, provided)) as Events
    const limitMs = options['process-timeout'] * 1000
    if (limitMs > 0) {
      startWatchdog({
        describe: describeCurrentEvent,
        limitMs,
        log,
        onBlocked: (report) => callProcessTimeoutHandler(events, report),
      })
    }
    let worker = createWorker({
      ...readCredentials(options, index === 0 ? log : undefined),
      events,
      eventTimeoutMs: options['event-timeout'] * 1000,
      gatewayLostTimeoutMs: options['gateway-lost-timeout'] * 1000,
      id: index,
      linkTimeoutMs: options['link-timeout'] * 1000,
      log,
      name,
      registerAddresses: options['register-address'],
      sendToGatewayBufferSizeBytes: options['send-to-gateway-buffer-size'],
    })
    await whenPlaceIsFree()
    await worker.start()
    return {
      details: { events: options.events },
      examine: () => examineRunning(worker, events, options),
      handOver: (timeoutMs) => worker.handOver(timeoutMs * HANDLERS_SHARE),
      problems: () => worker.problems(),
      stats: () => worker.stats(),
      stop: (timeoutMs) => worker.stop(timeoutMs * HANDLERS_SHARE),
      async takeBack() {
        worker = await worker.takeBack()
      },
      warnings: worker.warnings,
    }
  },
})

/** What is wrong with the options is the user's business, and no stack's. */
function createWorker(options: BusinessWorkerOptions): BusinessWorker {
  try {
    return new BusinessWorker(options)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

export default app
await runIfMain(app)
