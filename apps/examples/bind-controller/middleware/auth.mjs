import { abort } from '../abort.mjs'
import { Users } from '../models/users.mjs'

/**
 * Lets in who is logged in; controllers find the user in `response.locals.user`.
 *
 * @type {import('express').RequestHandler}
 */
export const auth = (request, response, next) => {
  response.locals.user = Users.find(request.session.userId) ?? abort(401, 'Log in first.')
  next()
}
