export type { ClientProtocol, ProtocolConnection } from '@gatewayworker/app-gateway'
export { type ClusterConfig, defineCluster } from './cluster-config.ts'
