// A web site with its own HTTP backend. Pages connect to a gateway; the site says whose connection is whose, and pushes to them.
// site.php is the same in PHP.
import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { Gateway, GatewayWorkerError } from '@gatewayworker/gateway-client'
import express from 'express'
import session from 'express-session'

const { env } = process
const gatewayUrl = env.GATEWAY_URL ?? 'ws://127.0.0.1:7272'
const port = Number(env.PORT ?? 3000)

Gateway.registerAddress = env.GW_REGISTER_ADDRESS ?? '127.0.0.1:1236'
Gateway.secretKey = env.GW_SECRET_KEY ?? ''

/** The group of everybody who is logged in. */
const MEMBERS = 'members'

const app = express()
app.use(express.static(`${import.meta.dirname}/public`))
// A form of another site cannot send JSON, and a script of another site would have to ask us first. Together with the SameSite
// cookie this keeps other sites from posting in the name of our users.
app.use((request, _response, next) => {
  if (request.method === 'POST' && !request.is('json')) refuse(415, 'Send JSON.')
  next()
})
app.use(express.json())
app.use(
  session({
    cookie: { sameSite: 'lax' }, // behind https: `secure: true` too
    resave: false,
    saveUninitialized: false,
    secret: randomUUID(), // sessions live in this process's memory and end with it, so their key may too
  }),
)

/** Who is logged in, and where pages connect. */
app.get('/me', (request, response) => {
  response.json({ gatewayUrl, name: request.session.login?.name ?? null })
})

/** The name is enough to log in, because this is an example: ask for a password here, or use the login that you have. */
app.post('/login', async (request, response) => {
  const name = readName(request.body.name)
  const before = request.session.login
  await replaceSession(request)
  request.session.login = { id: randomUUID(), name }
  if (before) await closePages(before)
  response.json({ name })
})

app.post('/logout', async (request, response) => {
  const { login } = request.session
  await replaceSession(request)
  if (login) await closePages(login)
  response.json({})
})

/** The page says which connection is its own: from here on it hears what is sent to its user, and the news. */
app.post('/bind', async (request, response) => {
  const { id, name } = requireLogin(request)
  const { bindToken, clientId } = request.body
  if (Gateway.secretKey !== '' && !Gateway.verifyBindToken(clientId, bindToken)) {
    refuse(403, 'This connection has not proved that it is yours: connect again.')
  }
  await Gateway.bindUid(clientId, name)
  await Gateway.joinGroup(clientId, MEMBERS)
  await Gateway.joinGroup(clientId, groupOfLogin(id))
  // Binding a connection that is gone does nothing, and is no error.
  if (!(await Gateway.isOnline(clientId))) refuse(410, 'This connection is gone: connect again.')
  response.json({ name })
})

/** To every page that a user has open, on all devices. */
app.post('/notify', async (request, response) => {
  const { name } = requireLogin(request)
  const to = readName(request.body.to)
  const text = readText(request.body.text)
  const { delivered } = await Gateway.sendToUid(to, { type: 'notification', from: name, text }, { receipt: true })
  response.json({ delivered })
})

/** To every page of everybody who is logged in. */
app.post('/news', async (request, response) => {
  const { name } = requireLogin(request)
  const text = readText(request.body.text)
  const news = { type: 'news', from: name, text }
  const { delivered } = await Gateway.sendToGroup(MEMBERS, news, null, { receipt: true })
  response.json({ delivered })
})

// Express brings rejected promises here too.
app.use(sendError)

const server = app.listen(port, '127.0.0.1', (error) => {
  if (error) throw error
  const address = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`The site is at http://${address.address}:${address.port}`)
})

/** Ends every connection of one login, in whatever tab it is; `logout` tells the page not to come back by itself. */
async function closePages(/** @type {{ id: string }} */ { id }) {
  const clientIds = await Gateway.getClientIdListByGroup(groupOfLogin(id))
  await Promise.all(clientIds.map((clientId) => Gateway.closeClient(clientId, { type: 'logout' })))
}

function groupOfLogin(/** @type {string} */ id) {
  return `login-${id}`
}

/** A new session id at every change of who is logged in, so that an id that somebody planted or kept is worth nothing. */
async function replaceSession(/** @type {express.Request} */ { session }) {
  await promisify(session.regenerate.bind(session))()
}

function requireLogin(/** @type {express.Request} */ request) {
  return request.session.login ?? refuse(401, 'Log in first.')
}

function readName(/** @type {unknown} */ value) {
  const name = trim(value).normalize()
  // GatewayWorker takes '0' for no user at all; your own user ids are fine if they start at 1.
  if (!/^\p{L}.{0,23}$/u.test(name)) refuse(400, 'A name starts with a letter and has 24 characters at most.')
  return name
}

function readText(/** @type {unknown} */ value) {
  const text = trim(value)
  if (!/^.{1,500}$/su.test(text)) refuse(400, 'A text has 1 to 500 characters.')
  return text
}

/** JSON can hold half of a surrogate pair, which a uid cannot. */
function trim(/** @type {unknown} */ value) {
  return typeof value === 'string' ? value.trim().toWellFormed() : ''
}

/**
 * Ends the request with an error that the user can read.
 *
 * @param {number} status
 * @param {string} message
 * @returns {never}
 */
function refuse(status, message) {
  throw Object.assign(new Error(message), { expose: true, status })
}

/**
 * The user sees what to do about it: `{ message }`, with `code` and `advice` if the cluster is what failed.
 *
 * @type {express.ErrorRequestHandler}
 */
function sendError(error, _request, response, next) {
  if (response.headersSent) return next(error)
  if (error instanceof GatewayWorkerError) {
    const { advice, code, message } = error
    // A bad client id is what the page sent; everything else is for us to mend.
    const status = code === 'BAD_CLIENT_ID' ? 400 : 503
    if (status === 503) console.error(error)
    response.status(status).json({ advice, code, message })
  } else if (error.expose) {
    response.status(error.status).json({ message: error.message })
  } else {
    console.error(error)
    response.status(500).json({ message: 'Something went wrong on the site; its log says what.' })
  }
}
