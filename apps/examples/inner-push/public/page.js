// The page: says its uid as the first message of every connection, and shows what is pushed. `?uid=…&gateway=…` choose others.

const PAUSE_MS = 1000

const parameters = new URLSearchParams(location.search)
const gatewayUrl = parameters.get('gateway') ?? 'ws://127.0.0.1:1234'
const uidField = element('uid')

/** @type {WebSocket | undefined} */
let socket
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retryTimer

function connect() {
  disconnect()
  const uid = uidField.value
  element('state').textContent = `Connecting to ${gatewayUrl} …`
  element('command').textContent = `echo ${quote(JSON.stringify({ uid, percent: '88%' }))} | nc -N 127.0.0.1 5678`
  socket = new WebSocket(gatewayUrl)
  socket.onopen = () => {
    socket?.send(uid)
    element('state').textContent = `Connected as ${uid}.`
  }
  socket.onmessage = ({ data }) => show(data)
  socket.onclose = () => {
    element('state').textContent = `No connection to ${gatewayUrl}; trying again …`
    retryTimer = setTimeout(connect, PAUSE_MS)
  }
}

function disconnect() {
  clearTimeout(retryTimer)
  if (!socket) return
  socket.onopen = socket.onmessage = socket.onclose = null
  socket.close()
}

/** @param {string} text what somebody pushed: JSON, or else it would not be here */
function show(text) {
  const item = document.createElement('li')
  item.textContent = text
  element('received').prepend(item)
  const { percent } = JSON.parse(text)
  if (percent !== undefined) element('percent').value = Number.parseFloat(percent) || 0
}

/** One word of a shell's command line, whatever is in it: the address of this page may come from anybody. @param {string} text */
function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** @param {string} id @returns {any} */
function element(id) {
  return document.getElementById(id)
}

uidField.value = parameters.get('uid') ?? uidField.value
element('user').onsubmit = (/** @type {SubmitEvent} */ event) => {
  event.preventDefault()
  connect()
}
connect()
