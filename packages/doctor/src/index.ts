export { examineBinding } from './examine-binding.ts'
export { type ClusterLook, examineCluster } from './examine-cluster.ts'
export { examineUrl } from './url/examine-url.ts'
