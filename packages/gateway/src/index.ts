export { CloseCode } from './close-codes.ts'
export { GatewayServer } from './gateway-server.ts'
export { GATEWAY_DEFAULTS, type GatewayServerOptions } from './options.ts'
export type { RoutableWorker, RoutedClient, Router } from './router.ts'
