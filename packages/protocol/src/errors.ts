/** Every error code of the project, each with what to do about it. The README lists the same codes, and a test compares. */
export const ERROR_ADVICE = {
  ANSWER_FAILED: 'The gateway could not carry out the question; its log says why.',
  BAD_CERTIFICATE:
    'Give --tls-cert, --tls-key and --tls-ca (tls: {cert, key, ca}) as PEM, the key being that of the certificate.',
  BAD_CLIENT_ID: 'Pass the client id exactly as onConnect or the page received it: 20 hexadecimal digits.',
  BAD_GROUP:
    "Pass a group name, a string or whole number that is not empty and not '0': PHP peers take those for no group at all.",
  BAD_HELLO: 'Something that is not a GatewayWorker process connects to this port, or one of another version.',
  BAD_MESSAGE:
    'A message is a string, bytes, or a value that JSON can hold; turn Maps, Sets and Errors into plain data.',
  BAD_PARAMETERS: 'The peer sent a command with parameters that make no sense; upgrade whichever side is older.',
  BAD_REGISTER_ADDRESS: 'A register address is HOST:PORT, such as 127.0.0.1:1236, or etcd://HOST:2379/CLUSTER.',
  BAD_SESSION:
    'A session is a plain object of plain data, 5 MiB at most: what JSON can hold, undefined, bigints, Dates, Buffers. The message names the value.',
  BAD_UID:
    "Pass a uid, a string or whole number that is not empty and not '0': PHP peers take those for no uid at all.",
  BAD_VALUE:
    'The bytes are no whole msgpack or PHP value, or the value has no form there; the message says where and why.',
  CLIENT_CLOSED: 'This GatewayClient was closed; make a new one.',
  FRAME_MALFORMED: 'The header contradicts itself; something that is not a GatewayWorker process writes to this port.',
  FRAME_TOO_LONG: 'Send smaller messages, or raise the frame ceiling on both sides.',
  FRAME_TOO_SHORT:
    'A frame is at least 28 bytes long; something that is not a GatewayWorker process writes to this port.',
  GATEWAY_UNAVAILABLE:
    'Not every gateway answered: `missing` names them, `partial` is what the others said. Check that their LAN ports can be reached from here.',
  HELLO_REFUSED:
    "The peer closed the connection without a word. PHP's processes do so when the secret is another; a proxy does so when nobody listens behind it yet.",
  HELLO_TIMEOUT:
    'The peer took the connection and did not say who it is; check that the address is a LAN port and not the client port.',
  LEGACY_NOT_ALLOWED:
    'PHP peers need the secret in clear text. Set --allow-legacy loopback (allowLegacy: "loopback") on the process that logged this if the peer is on the same host; on other hosts --allow-legacy all (true), in a trusted network only.',
  LINK_CLOSED: 'The connection to the peer ended; it is dialled again by itself.',
  LINK_TIMED_OUT: 'Nothing was heard from the peer for `--link-timeout`: its host is gone, cut off or stuck.',
  NO_CURRENT_CLIENT: 'The …CurrentClient methods work only below an Events handler; elsewhere pass a client id.',
  NO_GATEWAY: 'The register knows no gateway: start one, and check that it has the same register address and secret.',
  NO_REGISTER: 'No register answered: check its address, the firewall, and that the secret is the same.',
  NO_SECRET_KEY:
    'Bind tokens are signed with the secret of the cluster: start it with --secret-key, and set Gateway.secretKey in backends.',
  PUBLIC_WITHOUT_SECRET:
    'Give the whole cluster a --secret-key, or bind an address that only this machine or its network reaches.',
  QUESTION_TIMED_OUT: 'The gateway did not answer in time: it is overloaded or cut off.',
  QUEUE_FULL:
    'The gateway takes less than it is sent: it stands still, is overloaded or badly connected. Send less, or give it more processes.',
  WEAK_SECRET:
    'Give the whole cluster a --secret-key of 16 characters or more: `openssl rand -hex 24` makes one. A short one can be guessed.',
  WRONG_GATEWAY:
    'The announced address leads to another gateway: give each gateway its own --lan-ip and --start-port, and publish each port under its own number.',
  WRONG_SECRET: 'Give the same --secret-key to the register, the gateways, the workers and the backends.',
  WRONG_VERSION: 'Run the same version of GatewayWorker for TypeScript in every process of the cluster.',
} as const

/** A stable name of what went wrong; programs compare this, never the message. */
export type ErrorCode = keyof typeof ERROR_ADVICE

/** The one class of error that the project throws or rejects with on purpose. */
export class GatewayWorkerError extends Error {
  override readonly name: string = 'GatewayWorkerError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  /** What to do about it, in a sentence. */
  get advice(): string {
    return ERROR_ADVICE[this.code]
  }
}

/** Whether a value that came from outside is one of the codes. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_ADVICE, value)
}
