import { Router } from 'express'
import { LoginController } from '../controllers/login-controller.mjs'
import { PushController } from '../controllers/push-controller.mjs'
import { auth } from '../middleware/auth.mjs'

const login = new LoginController()
const push = new PushController()

/** Which action answers which request, and what stands before it. */
export const web = Router()
web.post('/login', login.login)
web.post('/bind', auth, push.bind)
web.post('/say', auth, push.say)
