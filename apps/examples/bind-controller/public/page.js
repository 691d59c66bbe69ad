// The page: log in, connect, have the site bind the connection, and show what comes over it: first of all who we are.

const PAUSE_MS = 1000

/** @typedef {{ id: number, name: string, color: string }} User */

/**
 * What to do with each type of message: `{ type, data }`, but for `init`, which comes from Events.ts.
 *
 * @type {Record<string, (message: any) => unknown>}
 */
const handlers = {
  init: ({ bind_token, client_id }) => post('/bind', { bind_token, client_id }),
  user: ({ data }) => showUser(data),
  enter: ({ data }) => showLine(data.user, 'is here', data.time),
  say: ({ data }) => showLine(data.user, data.content, data.time),
}

onSubmit('login', async (fields) => {
  await post('/login', fields)
  const { gatewayUrl } = await (await fetch('/gateway')).json()
  connect(gatewayUrl)
})

onSubmit('say', async (fields) => {
  await post('/say', fields)
  element('content').value = ''
})

/** @param {string} gatewayUrl */
function connect(gatewayUrl) {
  const socket = new WebSocket(gatewayUrl)
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data)
    // A connection that could not be bound is given up, and tried again with another client id.
    run(async () => handlers[message.type]?.(message)).catch(() => socket.close())
  }
  socket.onclose = () => {
    showError('The connection is lost; it comes back by itself.')
    setTimeout(connect, PAUSE_MS, gatewayUrl)
  }
}

/** @param {string} path @param {object} body */
async function post(path, body) {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error((await response.json()).message)
}

/** @param {string} id @param {(fields: object) => Promise<void>} handle */
function onSubmit(id, handle) {
  element(id).onsubmit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault()
    showError('')
    run(() => handle(Object.fromEntries(new FormData(element(id))))).catch(() => {})
  }
}

/**
 * Shows the error before it passes it on.
 *
 * @param {() => Promise<unknown>} action
 */
async function run(action) {
  try {
    await action()
  } catch (error) {
    showError(/** @type {Error} */ (error).message)
    throw error
  }
}

// --- What is shown. Whatever people wrote goes in as text, never as HTML. -----------------------------------------------------------

/** @param {User} user */
function showUser(user) {
  showError('')
  element('my-avatar').replaceChildren(avatarOf(user))
  element('my-name').textContent = user.name
  element('my-id').textContent = `user ${user.id}`
  element('login').hidden = true
  element('me').hidden = element('site').hidden = false
}

/** @param {User} user @param {string} text @param {number} time in milliseconds since 1970 */
function showLine(user, text, time) {
  const item = document.createElement('li')
  const name = document.createElement('strong')
  name.textContent = user.name
  item.append(avatarOf(user), name, ` ${text} `)
  const clock = document.createElement('time')
  clock.textContent = new Date(time).toLocaleTimeString()
  item.append(clock)
  element('said').prepend(item)
}

/** @param {User} user */
function avatarOf({ color, name }) {
  const avatar = document.createElement('span')
  avatar.className = 'avatar'
  avatar.ariaHidden = 'true'
  avatar.style.background = color
  avatar.textContent = Array.from(name)[0] ?? ''
  return avatar
}

/** @param {string} message */
function showError(message) {
  element('error').textContent = message
}

/** @param {string} id @returns {any} */
function element(id) {
  return document.getElementById(id)
}
