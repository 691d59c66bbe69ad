import { type Credentials, type Log, silentLog } from '@gatewayworker/protocol'
import type { AccessOptions } from './access/doorkeeper.ts'
import type { ClientProtocol } from './client-protocol.ts'
import type { RatePolicy } from './rate-limiter.ts'
import type { Router } from './router.ts'
import type { SslOptions } from './tls-layer.ts'

/** What a gateway process can be told; everything but the register addresses has a default. */
export interface GatewayServerOptions extends Credentials, Partial<AccessOptions> {
  /** What one client may send in a second, in bytes, and how much at once; 0 for any. */
  byteRate?: number
  clientHost?: string
  /** 0 for any free one; processes of one node:cluster share it. */
  clientPort?: number
  /** Events of one client that its worker may have unacknowledged before the client is not read; at least 1. */
  clientWindow?: number
  /** The same in bytes; one event may be under way however long it is. */
  clientWindowBytes?: number
  /** permessage-deflate: saves traffic, costs memory and most of the broadcast speed. */
  compression?: boolean
  /** Where events that are given up are kept, a JSON line each (`DeadLetter`); '' for nowhere. */
  deadLetterFile?: string
  /** How long a connection may take to become a client, in milliseconds. */
  handshakeTimeoutMs?: number
  /** After so long a silence, in milliseconds, though its side was asked after half of it, a client is taken for gone; 0 for never. */
  idleTimeoutMs?: number
  /**
   * How long it may be without a worker, after one was cut off, and without a register, until it closes its clients, in milliseconds. Less than
   * the workers' `gatewayLostTimeoutMs`, by a third of `linkTimeoutMs`: so much later than they it may notice.
   */
  isolationTimeoutMs?: number
  /** Where the LAN port listens, if not at `lanIp`: for containers and NAT. */
  lanHost?: string
  /** The IPv4 address under which workers and backends reach this gateway; part of every client id. */
  lanIp?: string
  /** 0 for any free one. */
  lanPort?: number
  /** How long a worker, backend or register may be silent until the link to it has ended, in milliseconds; noticed a third later at most. */
  linkTimeoutMs?: number
  log?: Log
  /**
   * What may be kept for all clients together, in bytes: messages that are not whole, events that are not handled, output that waits; by default a
   * quarter of the memory, 0 for any. Beyond it those for whom most is kept are closed.
   */
  maxBufferedBytes?: number
  /** The longest message a client may send, in bytes. */
  maxPayloadBytes?: number
  /** Messages that one client may send in a second, and as many at once; 0 for any number. */
  messageRate?: number
  /** How long a message may take from its first byte to its last, in milliseconds; 0 for ever. */
  messageTimeoutMs?: number
  /** How long a client waits for a worker before it is closed with 1013. */
  noWorkerTimeoutMs?: number
  /** What a quiet client is sent; '' for nothing. */
  pingData?: string
  /** Seconds between heartbeats; 0 for none. */
  pingIntervalS?: number
  /** How many intervals a client may be silent; 0 for any number. */
  pingNotResponseLimit?: number
  /** An event is given up after so many workers have died with it, the last of them with nothing else under way; 0 for never. */
  poisonLimit?: number
  /** What clients speak: WebSocket, one of Workerman's protocols for plain TCP, or one of your own. */
  protocol?: 'frame' | 'tcp' | 'text' | 'websocket' | ClientProtocol
  /** What happens to a client that sends more than its rates allow. */
  ratePolicy?: RatePolicy
  registerAddresses: readonly string[]
  router?: 'least-connections' | 'random' | Router
  /** Output that may wait for one client, in bytes. */
  sendToClientBufferSizeBytes?: number
  /** What one worker may have unacknowledged, in bytes; from there on each of its clients may have one event under way, and the others take turns. */
  sendToWorkerBufferSizeBytes?: number
  /** What happens to a client whose output waits beyond its buffer size: it is closed, or what does not fit is dropped. */
  slowClientPolicy?: 'close' | 'drop'
  /** Whether clients of a WebSocket port may listen to server-sent events instead: a GET that accepts text/event-stream. */
  sse?: boolean
  /** The certificate and key with which clients speak TLS; without it they do not. */
  ssl?: SslOptions
  /** How long workers may take at stop to handle what has happened, in milliseconds. */
  stopTimeoutMs?: number
}

export const GATEWAY_DEFAULTS = {
  allowLegacy: false,
  allowOrigins: [],
  byteRate: 10 * 1024 * 1024,
  clientHost: '0.0.0.0',
  clientPort: 7272,
  clientWindow: 64,
  clientWindowBytes: 256 * 1024,
  compression: false,
  connectionRate: 100,
  deadLetterFile: '',
  exemptAddresses: ['loopback', 'private'],
  forwardingHeader: 'x-forwarded-for',
  handshakeTimeoutMs: 10_000,
  idleTimeoutMs: 110_000,
  isolationTimeoutMs: 10_000,
  lanIp: '127.0.0.1',
  lanPort: 0,
  linkTimeoutMs: 45_000,
  log: silentLog as Log,
  maxConnections: 100_000,
  maxConnectionsPerAddress: 1_000,
  maxPayloadBytes: 1024 * 1024,
  messageRate: 1_000,
  messageTimeoutMs: 60_000,
  noWorkerTimeoutMs: 5_000,
  pingData: '',
  pingIntervalS: 0,
  pingNotResponseLimit: 0,
  poisonLimit: 3,
  protocol: 'websocket',
  proxyProtocol: false,
  ratePolicy: 'pause',
  router: 'least-connections',
  secretKey: '',
  sendToClientBufferSizeBytes: 1_024_000,
  sendToWorkerBufferSizeBytes: 2_048_000,
  slowClientPolicy: 'close',
  sse: false,
  stopTimeoutMs: 2_000,
  trustedProxies: [],
} as const satisfies Omit<GatewayServerOptions, 'registerAddresses'>

/** Options of which those that have a default are there. */
export type GatewaySettings = Omit<GatewayServerOptions, keyof typeof GATEWAY_DEFAULTS> &
  Required<Pick<GatewayServerOptions, keyof typeof GATEWAY_DEFAULTS>>
