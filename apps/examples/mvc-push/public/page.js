// The page: asks the site who is logged in, connects to the gateway, has the site bind the connection, and shows what is pushed.

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000

/** @type {WebSocket | undefined} */
let socket
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retryTimer
let failures = 0

/** What the page says about each state of its connection. */
const STATES = {
  connecting: 'Connecting to the gateway …',
  binding: 'Connected; asking the site to bind this connection …',
  bound: 'Connected: what the site pushes appears at once.',
  lost: 'The connection is lost; it comes back by itself.',
}

// --- The way in: GET /me → WebSocket → init → POST /bind → bound ----------------------------------------------------------------

/** Shows the page for whoever is logged in; the beginning of everything, after a reload too. */
async function start() {
  disconnect()
  const { gatewayUrl, name } = await ask('/me')
  showUser(name)
  if (name !== null) connect(gatewayUrl)
}

/** @param {string} gatewayUrl */
function connect(gatewayUrl) {
  showState(failures === 0 ? 'connecting' : 'lost')
  socket = new WebSocket(gatewayUrl)
  socket.onmessage = ({ data }) => onMessage(JSON.parse(data))
  socket.onclose = () => {
    // Between half and all of the pause, so that the pages of a gateway that was restarted do not come back all at once.
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2)
    failures += 1
    showState('lost')
    retryTimer = setTimeout(connect, pauseMs, gatewayUrl)
  }
}

/** @param {{ type: string, bindToken?: string, clientId: string, from: string, text: string }} message */
function onMessage(message) {
  if (message.type === 'init') run(() => bind(message.clientId, message.bindToken))
  else if (message.type === 'notification') showPush(`${message.from} to you`, message.text)
  else if (message.type === 'news') showPush(`News from ${message.from}`, message.text)
  else if (message.type === 'logout') run(start)
}

/**
 * Every connection has a client id of its own, so this is done after every reconnect.
 *
 * @param {string} clientId
 * @param {string} [bindToken] proves to the site that the client id is ours
 */
async function bind(clientId, bindToken) {
  const connection = socket
  showState('binding')
  try {
    const { name } = await ask('/bind', { bindToken, clientId })
    if (connection !== socket) return
    failures = 0
    showUser(name) // another tab may have logged in as somebody else meanwhile
    showState('bound')
    showError('')
  } catch (error) {
    connection?.close() // and so it is tried again, after a pause
    throw error
  }
}

function disconnect() {
  clearTimeout(retryTimer)
  if (!socket) return
  socket.onmessage = socket.onclose = null
  socket.close()
  socket = undefined
  failures = 0
}

// --- Forms ----------------------------------------------------------------------------------------------------------------------

onSubmit('login', async ({ name }) => {
  await ask('/login', { name })
  await start()
})

onSubmit('notify', async ({ to, text }) => {
  const { delivered } = await ask('/notify', { to, text })
  return delivered === 0 ? `${to} is not online.` : `Sent to ${pages(delivered)}.`
})

onSubmit('news', async ({ text }) => {
  const { delivered } = await ask('/news', { text })
  return `Sent to ${pages(delivered)}.`
})

element('logout').onclick = () =>
  run(async () => {
    disconnect()
    try {
      await ask('/logout', {})
    } finally {
      await start()
    }
  })

/**
 * The handler's answer is shown beside the button.
 *
 * @param {string} id
 * @param {(fields: Record<string, string>) => Promise<string | void>} handle
 */
function onSubmit(id, handle) {
  const form = element(id)
  const output = form.querySelector('output')
  form.onsubmit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault()
    showError('')
    run(async () => {
      if (output) output.value = ''
      const answer = await handle(/** @type {any} */ (Object.fromEntries(new FormData(form))))
      if (output) output.value = answer
      for (const field of form.elements) if (field.name === 'text') field.value = ''
    })
  }
}

// --- The site's HTTP routes -----------------------------------------------------------------------------------------------------

/**
 * The site's answer. Throws what the user can read if it is none; a login that has ended shows the login form.
 *
 * @param {string} path
 * @param {object} [body] makes it a POST
 */
async function ask(path, body) {
  const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const response = await fetch(path, body && post).catch(() => {
    throw new Error('The site cannot be reached.')
  })
  const answer = await response.json()
  if (response.ok) return answer
  if (response.status === 401) {
    disconnect()
    showUser(null)
  }
  throw new Error([answer.message, answer.advice, answer.code && `(${answer.code})`].filter(Boolean).join(' '))
}

/** @param {() => Promise<void>} action */
function run(action) {
  action().catch((error) => showError(error.message))
}

// --- What is shown. Whatever people wrote goes in as text, never as HTML. -----------------------------------------------------------

/** @param {string | null} name null if nobody is logged in */
function showUser(name) {
  if (element('my-name').textContent !== (name ?? '')) element('received').replaceChildren()
  element('my-name').textContent = name ?? ''
  element('me').hidden = element('site').hidden = name === null
  element('login').hidden = name !== null
}

/** @param {keyof typeof STATES} state */
function showState(state) {
  element('state').dataset.state = state
  element('state').textContent = STATES[state]
}

/** @param {string} message */
function showError(message) {
  element('error').textContent = message
}

/** @param {string} title @param {string} text */
function showPush(title, text) {
  const item = document.createElement('li')
  const heading = document.createElement('strong')
  const time = document.createElement('time')
  heading.textContent = title
  time.textContent = new Date().toLocaleTimeString()
  const body = document.createElement('p')
  body.textContent = text
  item.append(heading, ' ', time, body)
  element('received').prepend(item)
}

/** @param {number} count */
function pages(count) {
  return count === 1 ? 'one page' : `${count} pages`
}

/** @param {string} id @returns {any} */
function element(id) {
  return document.getElementById(id)
}

run(start)
