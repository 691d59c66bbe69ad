export {
  Gateway,
  GatewayClient,
  GatewayUnavailableError,
  GatewayWorkerError,
  type Message,
  type Receipt,
  type SendOptions,
} from '@gatewayworker/gateway-client'
export { BusinessWorker, type BusinessWorkerOptions, type WorkerStats } from './business-worker.ts'
export type { Context } from './context.ts'
export { type Events, type EventsMistakes, findMistakes } from './events.ts'
export type { HandshakeRequest, QueryValue } from './handshake-request.ts'
export { callProcessTimeoutHandler, describeCurrentEvent, type ProcessTimeoutReport } from './process-timeout.ts'
export { Timer } from './timer.ts'
