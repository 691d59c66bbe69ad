// The chat's business code, and the example to copy: each client is in one room, and a room is a group.
import { type Context, Gateway } from '@gatewayworker/businessworker'

type Member = { clientId: string; name: string }

/** What we keep with each client. */
type Session = { name: string; room: string }

/** What a page sends. */
type FromPage =
  | { type: 'login'; name: string; room: string }
  | { type: 'say'; to: string; content: string; ref: string }
  | { type: 'ping' }

/** What a page receives; times are milliseconds since 1970, `ref` is what the sender called its message. */
type ToPage =
  | { type: 'welcome'; me: Member; room: string; members: Member[] }
  | { type: 'join' | 'leave'; member: Member; room: string; time: number }
  | { type: 'say'; from: Member; to: string; content: string; room: string; time: number; ref: string }
  | { type: 'error'; message: string; ref?: string }
  | { type: 'pong' }

/** A client said something. */
export async function onMessage(clientId: string, message: string | Buffer, context: Context): Promise<void> {
  const request = parse(message)
  if (request?.type === 'login') await login(clientId, request, context)
  else if (request?.type === 'say') await say(clientId, request, context)
  else if (request?.type === 'ping') await send(clientId, { type: 'pong' })
  else await send(clientId, { type: 'error', message: 'This message was not understood.' })
}

/** A client is gone, from all groups too; its session is still here to say who it was. */
export async function onClose(clientId: string, context: Context): Promise<void> {
  const { name, room } = context.session as Partial<Session>
  if (name && room) await sendToRoom(room, { type: 'leave', member: { clientId, name }, room, time: Date.now() })
}

async function login(clientId: string, { name, room }: Session, context: Context): Promise<void> {
  const before = context.session as Partial<Session>
  const me = { clientId, name }
  if (before.room) {
    await Gateway.leaveGroup(clientId, groupOf(before.room))
    await onClose(clientId, context)
  }
  // A changed session is stored after the handler; here it must be there earlier, for whoever lists the room meanwhile.
  Object.assign(context.session, { name, room })
  await Gateway.setSession(clientId, context.session)

  // Only the newcomer gets the whole list, the others one line. Join first and list second: then nobody is in neither.
  await Gateway.joinGroup(clientId, groupOf(room))
  const sessions = await Gateway.getClientSessionsByGroup(groupOf(room))
  const members = [...sessions].map(([id, session]) => ({ clientId: id, name: String(session.name) }))
  await send(clientId, { type: 'welcome', me, room, members })
  await sendToRoom(room, { type: 'join', member: me, room, time: Date.now() }, [clientId])
}

async function say(
  clientId: string,
  { to, content, ref }: FromPage & { type: 'say' },
  context: Context,
): Promise<void> {
  const { name, room } = context.session as Partial<Session>
  if (!name || !room) return send(clientId, { type: 'error', message: 'Join a room first.', ref })

  const said: ToPage = { type: 'say', from: { clientId, name }, to, content, room, time: Date.now(), ref }
  if (to === 'all') return sendToRoom(room, said)

  const target = await Gateway.getSession(to)
  if (target?.room !== room) return send(clientId, { type: 'error', message: 'This person has left the room.', ref })
  await send(to, said)
  await send(clientId, said)
}

const isClientId = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{20}$/.test(value)
const groupOf = (room: string) => `room:${room}`
const send = async (clientId: string, message: ToPage) => void (await Gateway.sendToClient(clientId, message))
const sendToRoom = async (room: string, message: ToPage, exclude?: string[]) =>
  void (await Gateway.sendToGroup(groupOf(room), message, exclude))

/** A page's message, or undefined: anyone can send anything, so nothing is taken that was not looked at. */
function parse(message: string | Buffer): FromPage | undefined {
  let data: Record<string, unknown> | null
  try {
    data = JSON.parse(String(message))
  } catch {
    return undefined
  }
  const text = (key: string, maxLength: number) => {
    const value = data?.[key]
    // JSON can hold half of a surrogate pair, which neither a session nor a group can.
    return typeof value === 'string' && value.length <= maxLength ? value.trim().toWellFormed() : ''
  }
  const [type, name, room, content] = [text('type', 8), text('name', 24), text('room', 24), text('content', 2000)]
  const to = data?.to === 'all' || isClientId(data?.to) ? data.to : ''
  if (type === 'login' && name && room) return { type, name, room }
  if (type === 'say' && to && content) return { type, to, content, ref: text('ref', 64) }
  return type === 'ping' ? { type } : undefined
}
