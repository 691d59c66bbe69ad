// A web site in the way of Laravel: routes name a controller's action, and middleware stands before it. Pages connect to a gateway; a
// controller binds them, and answers over their connections.
import { randomUUID } from 'node:crypto'
import { Gateway, GatewayWorkerError } from '@gatewayworker/gateway-client'
import express from 'express'
import session from 'express-session'
import { jsonOnly } from './middleware/json-only.mjs'
import { web } from './routes/web.mjs'

const { env } = process
if (!env.GW_SECRET_KEY)
  throw new Error('Set GW_SECRET_KEY, the same for the whole cluster: without it nobody can prove anything.')
const gatewayUrl = env.GATEWAY_URL ?? 'ws://127.0.0.1:7272'

Gateway.registerAddress = env.GW_REGISTER_ADDRESS ?? '127.0.0.1:1236'
Gateway.secretKey = env.GW_SECRET_KEY

const app = express()
app.use(express.static(`${import.meta.dirname}/public`))
app.get('/gateway', (_request, response) => void response.json({ gatewayUrl }))
app.use(jsonOnly, express.json())
app.use(
  session({
    cookie: { sameSite: 'lax' }, // behind https: `secure: true` too
    resave: false,
    saveUninitialized: false,
    secret: randomUUID(), // sessions live in this process's memory and end with it, so their key may too
  }),
)
app.use(web)
app.use(sendError)

const server = app.listen(Number(env.PORT ?? 3000), '127.0.0.1', (error) => {
  if (error) throw error
  const { address, port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`The site is at http://${address}:${port}`)
})

/**
 * The user sees what to do about it.
 *
 * @type {import('express').ErrorRequestHandler}
 */
function sendError(error, _request, response, next) {
  if (response.headersSent) return next(error)
  if (error.expose) return void response.status(error.status).json({ message: error.message })
  console.error(error)
  if (error instanceof GatewayWorkerError) {
    response.status(503).json({ message: `${error.message}. ${error.advice}` })
  } else {
    response.status(500).json({ message: 'Something went wrong on the site; its log says what.' })
  }
}
