/**
 * The verbs of frames, each number once in the repository. Above each: what its fields hold. `connection` is the header's
 * connection_id, `ext` and `body` the two payloads; "value" is a value in the link's codec (msgpack between our own processes).
 */

/** Said by both sides of a link about the link itself; handled inside this package. */
export const LinkCommand = {
  /** gateway → dialer: you are in. body = value {version, instance, proof?}. Its arrival makes the link native. */
  HELLO: 100,
  /** gateway → dialer: you are not, and the link closes. body = value {code, message}. */
  REFUSED: 101,
  /** gateway → dialer: the answer to the question with the same id. body = value, in pieces while the flag MORE is set. */
  ANSWER: 102,
  /** gateway → dialer, where there is a secret: prove that you know it. body = value {nonce}. */
  CHALLENGE: 120,
  /** dialer → gateway: the answer to a CHALLENGE. body = the 32 bytes of the proof. */
  PROOF: 121,
  /** worker → gateway, its first frame. body = JSON {worker_key, secret_key, native?: {version, instance, nonce?, to?}}. */
  WORKER_CONNECT: 200,
  /** both ways: keep-alive, nothing else. */
  PING: 201,
  /** backend → gateway, its first frame. body = JSON {secret_key, native?: {version, instance, nonce?, to?}}. */
  GATEWAY_CLIENT_CONNECT: 202,
} as const

/** Gateway → worker: what happened to a client. */
export const CommandToWorker = {
  /** A client is there. No body. */
  ON_CONNECT: 1,
  /** A client's message. body = its bytes; flag BINARY for a binary WebSocket message. */
  ON_MESSAGE: 3,
  /** A client is gone. body = value {reason}, one of CLOSE_REASONS. */
  ON_CLOSE: 4,
  /**
   * From now on this worker serves this client. body = value {remoteAddress, remotePort, gatewayPort}, ext = session value, id = how many of
   * the client's events have been handled: the next one has the number after it.
   */
  CLIENT_CONTEXT: 103,
  /** The session of a client that this worker serves was changed. ext = session value; flag OWN_CHANGE if this confirms its own change. */
  SESSION_CHANGED: 104,
  /** The WebSocket handshake. body = value {get, server, cookie, claims?}, named as PHP names them; claims: what its token says. */
  ON_WEBSOCKET_CONNECT: 205,
} as const

/** Gateway → a worker or backend that watches its uids (README, "Where a uid is"). */
export const CommandToWatcher = {
  /** All uids that are here. ext = the bytes of a UidFilter, body = value number. */
  UID_FILTER: 131,
  /** These uids have come. ext = their hashes, body = value number. */
  UID_FILTER_ADD: 132,
} as const

/** Worker or backend → gateway: what to do, or a question. */
export const CommandToGateway = {
  /** To one client. connection; body = message. */
  SEND_TO_ONE: 5,
  /** To everybody; ext = '' or JSON {connections} or {exclude}. body = message. */
  SEND_TO_ALL: 6,
  /** Say the body, if there is one, then close. connection. */
  KICK: 7,
  /** Close at once, what waits is dropped. connection. */
  DESTROY: 8,
  /** Merge into the session at every depth. connection; ext = value, a map. */
  UPDATE_SESSION: 9,
  /** Question → map connection id → session bytes. */
  GET_ALL_CLIENT_SESSIONS: 10,
  /** Question → 0 or 1. connection. */
  IS_ONLINE: 11,
  /** connection; ext = uid. With an id it is answered when every watcher knows. */
  BIND_UID: 12,
  /** connection. */
  UNBIND_UID: 13,
  /** ext = JSON list of uids, body = message. */
  SEND_TO_UID: 14,
  /** Question → list of connection ids. ext = uid. */
  GET_CLIENT_ID_BY_UID: 15,
  /** Question → map uid → list of connection ids. ext = JSON list of uids. */
  BATCH_GET_CLIENT_ID_BY_UID: 16,
  /** connection; ext = group. */
  JOIN_GROUP: 20,
  /** connection; ext = group. */
  LEAVE_GROUP: 21,
  /** ext = JSON {group: list, exclude: map id → id or null}, body = message. */
  SEND_TO_GROUP: 22,
  /** Question → map connection id → session bytes. ext = group. */
  GET_CLIENT_SESSIONS_BY_GROUP: 23,
  /** Question → int. ext = group, or empty for everyone. */
  GET_CLIENT_COUNT_BY_GROUP: 24,
  /** Question → map connection id → map field → value. ext = JSON {fields, where}. */
  SELECT: 25,
  /** Question → list of groups. */
  GET_GROUP_ID_LIST: 26,
  /** Everybody leaves. ext = group. */
  UNGROUP: 27,
  /** Question → map group → int. ext = JSON list of groups. */
  BATCH_GET_CLIENT_COUNT_BY_GROUP: 28,
  /** Worker only: change top-level keys of the session. connection; ext = value {set: map, unset: list of keys}. */
  PATCH_SESSION: 105,
  /** Worker only: onWebSocketConnect threw; close the client as refused. connection. */
  REFUSE_CLIENT: 108,
  /** Worker only: these events are handled. body = pairs of uint32: connection, and the number of its last event that is. */
  ACKNOWLEDGE: 109,
  /** Worker only: a handler of this client did not settle in time; close the client. connection. */
  HANDLER_TIMED_OUT: 111,
  /** Worker only, question → null: give me nothing new. What was told before it is handled and acknowledged; then the worker goes. */
  LEAVE: 110,
  /** Question → whether the sender may rely, for UID_LEASE_MS, on what it is told of the uids that are here. */
  WATCH_UIDS: 130,
  /** A watcher knows what it was told with this number, and before. body = value number. */
  UID_FILTER_ACK: 133,
  /** Question, for diagnosis → map {lanAddress, time, version, workers}: `GatewayDescription`. */
  DESCRIBE: 140,
  /** Question → session bytes; an empty map if none; null if there is no such client. connection. */
  GET_SESSION_BY_CLIENT_ID: 203,
  /** Replace the session. connection; ext = value, a map. */
  SET_SESSION: 204,
} as const

/** Every verb by its name. */
export const Command = { ...LinkCommand, ...CommandToWorker, ...CommandToWatcher, ...CommandToGateway } as const

export type LinkCommand = (typeof LinkCommand)[keyof typeof LinkCommand]
export type CommandToWorker = (typeof CommandToWorker)[keyof typeof CommandToWorker]
export type CommandToWatcher = (typeof CommandToWatcher)[keyof typeof CommandToWatcher]
export type CommandToGateway = (typeof CommandToGateway)[keyof typeof CommandToGateway]
export type Command = (typeof Command)[keyof typeof Command]

/** Bits of the header's flag byte. SCALAR and RAW are PHP's, the others are used between our own processes only. */
export const Flag = {
  /** The body is the bytes themselves and not a value. */
  SCALAR: 1,
  /** Send to the client as it is, without framing it in the client's protocol. */
  RAW: 2,
  /** The body is a binary message and not text. */
  BINARY: 4,
  /** The answer goes on in the next ANSWER with this id. */
  MORE: 8,
  /** The answer is an error: body = value {code, message}. */
  ERROR: 16,
  /** A worker's change of the session of a client that it serves; SESSION_CHANGED has it again where it confirms that change. */
  OWN_CHANGE: 32,
  /** An event that a worker was told before, who has gone without acknowledging it. */
  REDELIVERED: 64,
} as const

/** Why a client is gone. */
export const CLOSE_REASONS = [
  /** The client has ended the connection, or it broke. */
  'client',
  /** An event of it was given up, because worker after worker died with it. */
  'dead_letter',
  /** Its gateway was killed or cut off for good. */
  'gateway_lost',
  /** Its gateway was stopped. */
  'gateway_stopped',
  /** A handler of it did not settle within the event timeout. */
  'handler_timeout',
  /** It said nothing for as long as the heartbeat or the idle time-out allows. */
  'heartbeat',
  /** The application has closed it. */
  'kicked',
  /** All clients of its gateway together kept more than that has memory for, and this one most. */
  'memory',
  /** No worker came in time. */
  'no_worker',
  /** It broke the rules of its protocol, or sent a message that was longer, or took longer, than is taken. */
  'protocol_error',
  /** It sent more than its rate allows. */
  'rate_limited',
  /** onWebSocketConnect threw. */
  'refused',
  /** It read too slowly. */
  'slow',
  /** Its token has expired. */
  'token_expired',
] as const

/** Why a client is gone: `client`, `dead_letter`, `gateway_lost`, `gateway_stopped`, `handler_timeout`, `heartbeat`, `kicked`, `memory`, `no_worker`, `protocol_error`, `rate_limited`, `refused`, `slow` or `token_expired`. */
export type CloseReason = (typeof CLOSE_REASONS)[number]
