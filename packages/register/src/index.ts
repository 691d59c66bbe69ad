export { announceGateway, checkRegisterAddress, watchGateways } from './discover.ts'
export type { Announcer, DiscoveryOptions, Watcher } from './discovery.ts'
export { withoutCredentials } from './etcd-address.ts'
export { RegisterServer, type RegisterServerOptions } from './register-server.ts'
