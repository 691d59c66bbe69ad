import { readFileSync } from 'node:fs'
import { GatewayWorkerError } from '@gatewayworker/protocol'

/** An etcd and the part of it that belongs to one cluster. */
export interface EtcdAddress {
  /** Of a user of etcd's own access control. */
  credentials: { name: string; password: string } | undefined
  /** For messages: without the credentials. */
  name: string
  /** What the keys of all gateways begin with; ends with a slash. */
  prefix: string
  /** How to tell etcd from others, and us to it. */
  tls: { ca?: Buffer; cert?: Buffer; key?: Buffer }
  /** "http://HOST:PORT", or https. */
  url: string
}

const SCHEMES: Readonly<Record<string, string>> = { 'etcd:': 'http:', 'etcds:': 'https:' }
const DEFAULT_PORT = '2379'
const DEFAULT_CLUSTER = 'default'
const TLS_FILES = ['ca', 'cert', 'key'] as const

/** Whether it is meant as one; it may be wrong all the same. */
export function isEtcdAddress(address: string): boolean {
  return /^etcds?:\/\//i.test(address)
}

/**
 * Reads `etcd://[USER:PASSWORD@]HOST[:2379][/CLUSTER]`, or `etcds://…[?ca=FILE][&cert=FILE&key=FILE]` for TLS, and its files. Throws
 * BAD_REGISTER_ADDRESS.
 */
export function parseEtcdAddress(address: string): EtcdAddress {
  const { hostname, password, pathname, port, protocol, searchParams, username } = parseUrl(address)
  const scheme = SCHEMES[protocol]
  const cluster = pathname.replace(/^\//, '') || DEFAULT_CLUSTER
  if (scheme === undefined || hostname === '') throw badAddress('it has no host')
  if (!/^[\w.-]+$/.test(cluster)) throw badAddress(`"${cluster}" is no name for a cluster`)
  const tls: EtcdAddress['tls'] = {}
  for (const [name, file] of searchParams) {
    const kind = TLS_FILES.find((known) => known === name)
    if (kind === undefined || scheme !== 'https:') throw badAddress(`"?${name}" makes no sense there`)
    tls[kind] = readTlsFile(file)
  }
  return {
    credentials: username === '' ? undefined : { name: decode(username), password: decode(password) },
    name: withoutCredentials(address),
    prefix: `/gatewayworker/${cluster}/gateways/`,
    tls,
    url: `${scheme}//${hostname}:${port || DEFAULT_PORT}`,
  }
}

/** The address as messages may have it. */
export function withoutCredentials(address: string): string {
  return address.replace(/(?<=:\/\/).*@/, '')
}

function parseUrl(address: string): URL {
  try {
    return new URL(address)
  } catch {
    throw badAddress('it is no URL')
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw badAddress('a % in the user or password must be %25')
  }
}

function readTlsFile(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw badAddress((error as Error).message)
  }
}

/** Says nothing of the address itself, which may hold a password. */
function badAddress(reason: string): GatewayWorkerError {
  return new GatewayWorkerError('BAD_REGISTER_ADDRESS', `an etcd address is etcd://HOST:2379/CLUSTER: ${reason}`)
}
