// The page's main script: connects the parts, and speaks the messages of Events.ts with the server.
import { Composer } from './composer.js'
import { Connection } from './connection.js'
import { byId, create, createAvatar } from './dom.js'
import { MemberList } from './member-list.js'
import { MessageList } from './message-list.js'
import { remembered } from './remembered.js'

/** @typedef {import('./member-list.js').Member} Member */

/**
 * A message of ours, to one person or to all, and its item in the list while the server has not confirmed it.
 *
 * @typedef {{ ref: string, room: string, target: Member | undefined, content: string, time: number }} Written
 * @typedef {Written & { item: HTMLElement }} Outgoing
 */

const joinForm = byId('join-form', HTMLFormElement)
const nameInput = byId('name', HTMLInputElement)
const roomInput = byId('room', HTMLInputElement)
const joinError = byId('join-error', HTMLElement)
const sidebar = byId('sidebar', HTMLElement)

let room = ''
let myName = ''
/** Our own client id, '' until the room has let us in. */
let myClientId = ''
/** Whether the connection was lost since the room was entered. */
let hasMissedSome = false
let unread = 0
/** By `ref`, in the order of writing; sent again after a reconnect until the server repeats them to us. @type {Map<string, Outgoing>} */
const outgoing = new Map()
/** The latest refs shown: a message that was sent again because its confirmation was lost is shown once. @type {Set<string>} */
const shownRefs = new Set()

const members = new MemberList(
  {
    list: byId('members', HTMLElement),
    search: byId('member-search', HTMLInputElement),
    count: [byId('member-count', HTMLElement), byId('people-count', HTMLElement)],
  },
  (member) => {
    composer.writeTo(member)
    hideSidebar()
    composer.focus()
  },
)
const messages = new MessageList(byId('scroller', HTMLElement), byId('messages', HTMLElement), (isUnseen) => {
  byId('jump', HTMLButtonElement).hidden = !isUnseen
})
const composer = new Composer({ onSend: say, onTarget: (target) => members.markPicked(target?.clientId ?? '') })

const { gatewayPort } = await (await fetch('config.json')).json()
const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
const connection = new Connection(`${scheme}://${location.hostname}:${gatewayPort}`, {
  onMessage,
  onOpen: login,
  onState: showState,
})

// Rooms: enter, leave, links

/** @param {string} newRoom */
function enterRoom(newRoom) {
  room = newRoom
  hasMissedSome = false
  remembered.isInChat = true
  remembered.name = myName
  remembered.addRoom(room)
  if (roomOfAddress() !== room) history.pushState(null, '', roomLink(room))
  joinError.textContent = ''
  byId('join-view', HTMLElement).hidden = true
  byId('chat-view', HTMLElement).hidden = false
  byId('room-name', HTMLElement).textContent = room
  byId('my-name', HTMLElement).textContent = myName
  byId('my-avatar', HTMLElement).replaceChildren(createAvatar(myName))
  drawRooms()
  hideSidebar()
  composer.writeTo(undefined)
  messages.clear()
  for (const message of outgoing.values()) if (message.room === room) message.item = showOwn(message)
  countUnread(0)
  if (connection.isOnline) login()
  else connection.open()
  composer.focus()
}

/** Goes back to the first page. @param {string} [reason] */
function leaveChat(reason = '') {
  remembered.isInChat = false
  connection.close()
  room = ''
  myClientId = ''
  outgoing.clear()
  countUnread(0)
  joinError.textContent = reason
  byId('chat-view', HTMLElement).hidden = true
  byId('join-view', HTMLElement).hidden = false
  nameInput.focus()
}

function drawRooms() {
  const links = remembered.rooms.map((name) => {
    const item = create('li')
    const link = create('a', 'row')
    link.href = roomLink(name)
    link.append(create('bdi', 'name', name))
    if (name === room) link.setAttribute('aria-current', 'page')
    item.append(link)
    return item
  })
  byId('rooms', HTMLElement).replaceChildren(...links)
}

/** @param {string} name */
function roomLink(name) {
  return `#${encodeURIComponent(name)}`
}

function roomOfAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)).trim().slice(0, 24)
  } catch {
    return ''
  }
}

function hideSidebar() {
  // As a sheet over a narrow page it is a popover; beside a wide one it always shows, and there is nothing to hide.
  if (sidebar.matches(':popover-open')) sidebar.hidePopover()
}

// To the server

function login() {
  myClientId = ''
  members.reset()
  connection.send({ type: 'login', name: myName, room })
}

/** @param {string} content @param {Member | undefined} target */
function say(content, target) {
  // randomUUID() is missing where the page does not come from https or this machine.
  const ref = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join('')
  const written = { ref, room, target, content, time: Date.now() }
  const message = { ...written, item: showOwn(written) }
  outgoing.set(ref, message)
  if (myClientId) sendOutgoing(message)
}

/** @param {Outgoing} message */
function sendOutgoing({ ref, target, content }) {
  connection.send({ type: 'say', to: target?.clientId ?? 'all', content, ref })
}

/** @param {Written} message */
function showOwn({ target, content, time }) {
  const item = messages.addMessage({
    author: 'me',
    name: myName,
    content,
    privately: target && `to ${target.name}`,
    time,
  })
  if (!myClientId) messages.markWaiting(item)
  return item
}

// From the server

/** @param {any} message one of `ToPage` in Events.ts */
function onMessage(message) {
  if (message.type === 'welcome') onWelcome(message)
  else if (message.type === 'join') onJoin(message)
  else if (message.type === 'leave') onLeave(message)
  else if (message.type === 'say') onSay(message)
  else if (message.type === 'error') onError(message)
}

/** @param {{ me: Member, room: string, members: Member[] }} message */
function onWelcome(message) {
  // Else the answer to an earlier login, when rooms are changed quickly.
  if (message.room !== room) return
  myClientId = message.me.clientId
  members.merge(myClientId, message.members)
  composer.checkTarget((clientId) => members.has(clientId))
  if (hasMissedSome) messages.addNotice('You are back. What others wrote in between is not shown.')
  hasMissedSome = false
  connection.accept()
  for (const waiting of outgoing.values()) if (waiting.room === room) sendOutgoing(waiting)
}

/** @param {{ member: Member, room: string }} message */
function onJoin(message) {
  if (message.room !== room) return
  if (members.add(message.member)) messages.addPresence('joined', message.member.name)
}

/** @param {{ member: Member, room: string }} message */
function onLeave(message) {
  if (message.room !== room) return
  members.remove(message.member)
  messages.addPresence('left', message.member.name)
  composer.checkTarget((clientId) => members.has(clientId))
}

/** @param {{ from: Member, to: string, content: string, time: number, room: string, ref: string }} message */
function onSay({ from, to, content, time, room: saidIn, ref }) {
  if (saidIn !== room || shownRefs.has(ref)) return
  rememberShown(ref)
  const isOwn = from.clientId === myClientId
  const own = isOwn && outgoing.get(ref)
  if (own) {
    outgoing.delete(ref)
    messages.markSent(own.item, time)
    return
  }
  const privately = to === 'all' ? undefined : 'to you'
  messages.addMessage({ author: from.clientId, name: from.name, content, privately, time })
  if (document.hidden) countUnread(unread + 1)
}

/** @param {{ message: string, ref?: string }} error */
function onError({ message, ref }) {
  const own = outgoing.get(ref ?? '')
  if (own) {
    outgoing.delete(own.ref)
    messages.markFailed(own.item, message)
  } else if (myClientId) {
    messages.addNotice(message)
  } else {
    leaveChat(message)
  }
}

/** @param {string} ref */
function rememberShown(ref) {
  if (!ref) return
  shownRefs.add(ref)
  if (shownRefs.size > 1000) for (const oldest of shownRefs) return void shownRefs.delete(oldest)
}

// What is shown about the connection and in the title

const stateTexts = { connecting: 'Connecting', online: 'Online', reconnecting: 'Reconnecting', offline: 'Offline' }

/** @param {import('./connection.js').ConnectionState} state @param {number} retryInS */
function showState(state, retryInS) {
  const isLost = state === 'reconnecting' || state === 'offline'
  if (isLost && myClientId) {
    hasMissedSome = true
    myClientId = ''
    for (const message of outgoing.values()) if (message.room === room) messages.markWaiting(message.item)
  }
  const pill = byId('state', HTMLElement)
  if (pill.dataset.state !== state) {
    pill.dataset.state = state
    byId('state-text', HTMLElement).textContent = stateTexts[state]
  }
  // Apart from the text that screen readers announce, who would read every second of it.
  byId('state-countdown', HTMLElement).textContent = retryInS ? `in ${retryInS} s` : ''
  byId('banner', HTMLElement).hidden = !isLost
  byId('retry', HTMLButtonElement).disabled = retryInS === 0
}

/** @param {number} count */
function countUnread(count) {
  unread = count
  document.title = room ? `${unread ? `(${unread}) ` : ''}#${room} · Chat` : 'Chat'
}

// What the user does outside the message box

joinForm.addEventListener('submit', (event) => {
  event.preventDefault()
  const [name, wanted] = [nameInput.value.trim(), roomInput.value.trim()]
  if (!name || !wanted) {
    joinError.textContent = 'A nickname and a room are needed.'
    return
  }
  myName = name
  enterRoom(wanted)
})

byId('room-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault()
  const input = byId('new-room', HTMLInputElement)
  const wanted = input.value.trim()
  input.value = ''
  if (wanted && wanted !== room) enterRoom(wanted)
})

byId('leave', HTMLButtonElement).addEventListener('click', () => leaveChat())
byId('retry', HTMLButtonElement).addEventListener('click', () => connection.retryNow())
byId('jump', HTMLButtonElement).addEventListener('click', () => messages.scrollToEnd())
byId('copy-link', HTMLButtonElement).addEventListener('click', copyLink)

async function copyLink() {
  const label = byId('copy-link-text', HTMLElement)
  try {
    await navigator.clipboard.writeText(location.href)
    label.textContent = 'Copied'
  } catch {
    // No clipboard for pages that come neither from https nor from this machine.
    label.textContent = 'Copy it from the address bar'
  }
  setTimeout(() => {
    label.textContent = 'Copy link'
  }, 2000)
}

addEventListener('hashchange', () => {
  const wanted = roomOfAddress()
  if (!room) roomInput.value = wanted || roomInput.value
  else if (wanted && wanted !== room) enterRoom(wanted)
})
addEventListener('beforeunload', (event) => {
  if (outgoing.size > 0) event.preventDefault()
})
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) countUnread(0)
})
matchMedia('(min-width: 860px)').addEventListener('change', hideSidebar)

nameInput.value = remembered.name
roomInput.value = roomOfAddress() || remembered.rooms[0] || 'lobby'
// Until here nobody could type what would be overwritten, or submit what nobody would hear.
byId('join-fields', HTMLFieldSetElement).disabled = false
if (remembered.isInChat && nameInput.value) joinForm.requestSubmit()
else (nameInput.value ? roomInput : nameInput).focus()
