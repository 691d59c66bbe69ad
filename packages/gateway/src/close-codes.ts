/** The codes with which a gateway closes a WebSocket on its own account, each with what the page should do. */
export const CloseCode = {
  /** Gateway.closeClient: the application ended it; do not reconnect unless the application says so. */
  CLOSED: 1000,
  /** The gateway stops: reconnect, another one is there or will be. */
  GATEWAY_STOPS: 1001,
  /** onWebSocketConnect refused the client: reconnect only with other credentials. */
  REFUSED: 1008,
  /** A message was longer than the gateway takes, or than its worker does with the session beside it. */
  TOO_BIG: 1009,
  /** A message of this client was not handled: its handler did not settle in time, or crashed its workers. Reconnect, with growing pauses. */
  INTERNAL_ERROR: 1011,
  /** No worker came in time: try again later, with growing pauses. */
  NO_WORKER: 1013,
  /** Too much waited for this client: reconnect and fetch what was missed; find out why it reads so slowly. */
  TOO_SLOW: 4001,
  /** It sent more than its rate allows: reconnect, and send less. */
  RATE_LIMITED: 4002,
  /** Its token has expired: reconnect with a new one. */
  TOKEN_EXPIRED: 4003,
  /** All clients together kept more than the gateway has memory for, and this one most: reconnect, with growing pauses. */
  MEMORY: 4004,
  /** A message had no end within the message timeout: reconnect. */
  MESSAGE_TIMEOUT: 4005,
} as const

export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode]
