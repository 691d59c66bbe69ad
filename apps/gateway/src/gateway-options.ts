import { AddressSet, OriginList, readTokenSource } from '@gatewayworker/gateway'
import {
  credentialOptions,
  type OptionTable,
  type OptionType,
  optionTypes,
  secretFile,
  UsageError,
} from '@gatewayworker/supervisor'
import { clientSchemes } from './client-schemes.ts'

const {
  bytes,
  file,
  flag,
  host,
  integer,
  list,
  name,
  oneOf,
  path,
  port,
  positiveSeconds,
  registerAddress,
  seconds,
  text,
  url,
} = optionTypes

/** For an error message. */
const AUTHENTICATION = 'authentication'

const builtInRouters = ['least-connections', 'random'] as const

/** A built-in router's name, or the absolute path of a module. */
const router: OptionType<string> = {
  hint: `${builtInRouters.join('|')}|FILE`,
  parse: (raw, baseDir) => builtInRouters.find((name) => name === raw) ?? file.parse(raw, baseDir),
}

/** A time that is not 0. */
const duration: OptionType<number> = {
  ...seconds,
  parse(raw, baseDir) {
    const value = seconds.parse(raw, baseDir)
    if (value === 0) throw new UsageError('must be more than 0 seconds')
    return value
  },
}

/** Text as the gateway reads it: what that throws at is not taken. */
function readBy<T>(read: (raw: string) => T, hint: string): OptionType<T> {
  return {
    hint,
    parse(raw, baseDir) {
      try {
        return read(text.parse(raw, baseDir))
      } catch (error) {
        throw new UsageError((error as Error).message)
      }
    },
  }
}

const addresses = list(readBy((raw) => new AddressSet([raw]) && raw, 'IP|IP/BITS|loopback|private'))
const origins = list(readBy((raw) => new OriginList([raw]) && raw, 'ORIGIN'))
const tokenSources = list(readBy(readTokenSource, 'authorization|protocol|cookie:NAME|query:NAME'))

/** What a gateway can be told; names and defaults are GatewayWorker's where it has the option. */
export const gatewayOptions = {
  listen: {
    default: 'websocket://0.0.0.0:7272',
    describe: `What clients speak, and where they connect: ${clientSchemes.join(', ')}`,
    type: url(...clientSchemes),
  },
  protocol: {
    describe: 'A module with input, decode and encode: what clients speak on tcp:// or ssl://',
    type: file,
  },
  'ssl-cert': { describe: 'Certificate chain for clients with TLS, in PEM; read again when it changes', type: file },
  'ssl-key': { describe: 'Private key of --ssl-cert, in PEM', type: file },
  'ssl-passphrase': { describe: 'What --ssl-key is encrypted with', type: text },
  name: { default: 'Gateway', describe: 'Name of the group in logs and tables', type: name },
  count: { default: 1, describe: 'How many processes share the client port', type: integer(1, 1024) },
  'lan-ip': {
    describe:
      'IPv4 address or name under which workers and backends reach it; default: the one by which it reaches the register',
    type: host,
  },
  'lan-listen': {
    describe: 'Address to bind the LAN port on, if not --lan-ip (containers, NAT)',
    type: host,
  },
  'start-port': {
    default: 2900,
    describe: 'LAN port of the first process, the next ones count up; 0 for any free ones',
    type: port,
  },
  'register-address': {
    default: ['127.0.0.1:1236'],
    describe: 'A register to announce to, or an etcd; may be repeated',
    type: list(registerAddress),
  },
  ...credentialOptions,
  'isolation-timeout': {
    default: 10,
    describe:
      'How long it may see neither worker nor register until it closes its clients; less than --gateway-lost-timeout',
    type: positiveSeconds,
  },
  'link-timeout': {
    default: 45,
    describe: 'How long a worker, backend or register may be silent until it counts as cut off',
    type: positiveSeconds,
  },
  'ping-interval': { default: 0, describe: 'Pause between heartbeats to clients; 0 for none', type: seconds },
  'ping-not-response-limit': {
    default: 0,
    describe: 'How many heartbeats a client may leave unanswered; 0 for any number',
    type: integer(0),
  },
  'ping-data': { default: '', describe: 'What a quiet client is sent at a heartbeat', type: text },
  'poison-limit': {
    default: 3,
    describe: 'An event is given up after so many workers have died with it; 0 for never',
    type: integer(0),
  },
  'dead-letter-file': {
    default: '.gatewayworker/dead-letters.jsonl',
    describe: 'Where events that are given up are kept for `gatewayworker dead-letters`',
    type: path,
  },
  router: {
    default: 'least-connections',
    describe: "Which worker serves a client; FILE exports one's own function",
    type: router,
  },
  'send-to-worker-buffer-size': {
    default: 2_048_000,
    describe: 'What one worker may have unhandled; from there on its clients take turns',
    type: bytes,
  },
  'client-window': {
    default: 64,
    describe: 'Events of one client that its worker may have unhandled before the client is not read',
    type: integer(1),
  },
  'client-window-size': {
    default: 262_144,
    describe: 'The same in bytes; one event may be under way however long it is',
    type: bytes,
  },
  'send-to-client-buffer-size': { default: 1_024_000, describe: 'Output that may wait for one client', type: bytes },
  'max-payload': { default: 1_048_576, describe: 'The longest message a client may send', type: bytes },
  compression: { default: false, describe: 'Offer permessage-deflate to clients', type: flag },
  sse: { default: false, describe: 'Let clients listen to server-sent events instead of a WebSocket', type: flag },
  'max-connections': {
    default: 100_000,
    describe: 'Connections that one process takes; 0 for any number',
    type: integer(0),
  },
  'max-connections-per-address': {
    default: 1_000,
    describe: 'Connections that one process takes of one address; 0 for any number',
    type: integer(0),
  },
  'connection-rate': {
    default: 100,
    describe: 'New connections a second that one process takes of one address; 0 for any number',
    type: integer(0),
  },
  'exempt-address': {
    default: ['loopback', 'private'],
    describe: 'Addresses that the two limits above do not hold for; may be repeated',
    type: addresses,
  },
  'message-rate': {
    default: 1_000,
    describe: 'Messages that one client may send a second; 0 for any number',
    type: integer(0),
  },
  'byte-rate': {
    default: 10_485_760,
    describe: 'Bytes that one client may send a second; 0 for any number',
    type: integer(0, undefined, 'BYTES'),
  },
  'message-timeout': {
    default: 60,
    describe: 'How long a message may take from its first byte to its last; 0 for any time',
    type: seconds,
  },
  'max-buffered-bytes': {
    describe:
      'What may be kept for all clients of a process together, beyond which those who keep most are closed; default: a quarter of the memory; 0 for any number',
    type: integer(0, undefined, 'BYTES'),
  },
  'rate-policy': {
    default: 'pause',
    describe:
      'What happens beyond these: the client is not read for a while, its messages are dropped, or it is closed',
    type: oneOf('pause', 'drop', 'close'),
  },
  'handshake-timeout': {
    default: 10,
    describe: 'How long a connection may take to become a client',
    type: duration,
  },
  'idle-timeout': {
    default: 110,
    describe: 'A client that is silent for so long, though it was asked halfway, is gone; 0 for never',
    type: seconds,
  },
  'allow-origin': {
    describe: 'Whose pages may connect: https://example.com, https://*.example.com …; may be repeated; none for all',
    type: origins,
  },
  'trusted-proxy': {
    describe: 'A proxy that is believed whose connection it is; may be repeated',
    type: addresses,
  },
  'forwarding-header': {
    default: 'x-forwarded-for',
    describe: 'The header in which trusted proxies say whose connection it is',
    type: oneOf('x-forwarded-for', 'forwarded'),
  },
  'proxy-protocol': {
    default: false,
    describe: 'Trusted proxies begin their connections with a PROXY header, version 1 or 2',
    type: flag,
  },
  'jwt-secret': {
    describe: 'Clients need a token that was signed with this (HS256)',
    emptyWouldDisable: AUTHENTICATION,
    type: text,
  },
  'jwt-secret-file': {
    describe: 'A file with --jwt-secret in one line',
    emptyWouldDisable: AUTHENTICATION,
    type: secretFile,
  },
  'jwt-key-file': {
    describe: 'Clients need a token that these public keys prove: PEM or JSON Web Key Set (RS256, ES256)',
    emptyWouldDisable: AUTHENTICATION,
    type: file,
  },
  'jwt-from': {
    default: ['authorization', 'query:token'],
    describe: 'Where the token may be; may be repeated',
    type: tokenSources,
  },
  'jwt-issuer': {
    describe: 'Who must have issued the token',
    emptyWouldDisable: 'the check of the issuer',
    type: { ...text, hint: 'ISS' },
  },
  'jwt-audience': {
    describe: 'For whom the token must be',
    emptyWouldDisable: 'the check of the audience',
    type: { ...text, hint: 'AUD' },
  },
  'jwt-clock-tolerance': { default: 5, describe: "How far the issuer's clock may be from ours", type: seconds },
  'jwt-close-at-expiry': { default: false, describe: 'Close a client when its token expires', type: flag },
  'slow-client-policy': {
    default: 'close',
    describe: 'What happens beyond --send-to-client-buffer-size: the client is closed, or output dropped',
    type: oneOf('close', 'drop'),
  },
  'no-worker-timeout': { default: 5, describe: 'How long a client waits for a worker', type: seconds },
} satisfies OptionTable
