export { connectionIdOf, encodeClientId, gatewayAddress, gatewayKey, gatewayKeyOf, isClientId } from './client-id.ts'
export { type Codec, isPlainObject, msgpack } from './codec.ts'
export {
  CLOSE_REASONS,
  type CloseReason,
  Command,
  CommandToGateway,
  CommandToWorker,
  Flag,
  LinkCommand,
} from './commands.ts'
export {
  type AllowLegacy,
  type Credentials,
  credentialsOf,
  legacyNotAllowed,
  mayTellSecret,
  rememberNative,
} from './credentials.ts'
export type { GatewayDescription } from './describe.ts'
export { Dialer, type DialerOptions, type GatewayLink } from './dial.ts'
export type { ClientOrigin, Dialect, ToldClient } from './dialect.ts'
export { ERROR_ADVICE, type ErrorCode, GatewayWorkerError, isErrorCode } from './errors.ts'
export {
  DEFAULT_MAX_FRAME_BYTES,
  EMPTY,
  encodeFrame,
  Frame,
  type FrameParts,
  HEADER_BYTES,
  payloadBytes,
} from './frame.ts'
export { createInstanceId, type Hello, isSameSecret, NATIVE_VERSION, type Role } from './hello.ts'
export { Link, type LinkHandler, type LinkOptions } from './link.ts'
export { LinkListener, type LinkListenerOptions } from './listen.ts'
export { type Log, silentLog } from './log.ts'
export { findAddressToBind, isLoopback, isShortSecret } from './network-address.ts'
export { FrameParser } from './parser.ts'
export { phpSerialize } from './php-codec.ts'
export { createNonce, type Digest, digest, isProof, prove } from './proof.ts'
export { RepeatedWarnings } from './repeated-warnings.ts'
export { checkSession } from './session-values.ts'
export {
  decodeSession,
  type EncodedSession,
  encodeSession,
  MAX_SESSION_BYTES,
  mergeEncodedSessions,
  mergeSessions,
  patchEncodedSession,
  translateSession,
} from './sessions.ts'
export { Strangers } from './strangers.ts'
export { MAX_TIMER_MS, withTimes } from './times.ts'
export { createSocketServer, dialSocket, type TlsIdentity } from './tls.ts'
export {
  decodeUidHashes,
  encodeUidHashes,
  hashUid,
  UID_LEASE_MS,
  UidFilter,
  type UidHash,
} from './uid-filter.ts'
export { version } from './version.ts'
export { type VisitOptions, visitGateway } from './visit.ts'
