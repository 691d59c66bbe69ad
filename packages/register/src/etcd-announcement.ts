import { createHmac } from 'node:crypto'
import { isSameSecret } from '@gatewayworker/protocol'

/**
 * A gateway's key is `/gatewayworker/CLUSTER/gateways/ADDRESS/INSTANCE`, and the value proves that whoever wrote it knows the secret: who may
 * write to etcd, or into another cluster, still makes nobody send a word to an address of his.
 */
export function signKey(key: string, secretKey: string): string {
  return createHmac('sha256', secretKey).update(`gatewayworker discovery ${key}`).digest('hex')
}

/** The address that a key announces; undefined if whoever wrote it did not know the secret. */
export function readAnnouncement(key: string, value: string, prefix: string, secretKey: string): string | undefined {
  const [address, instance] = key.slice(prefix.length).split('/')
  const isSigned = address !== undefined && instance !== undefined && isSameSecret(value, signKey(key, secretKey))
  return isSigned ? address : undefined
}
