export { type ClusterConfig, defineCluster } from './cluster-config.ts'
