import { abort } from '../abort.mjs'

/**
 * A form of another site cannot send JSON, and a script of another site would have to ask us first. Together with the SameSite cookie
 * this keeps other sites from posting in the name of our users.
 *
 * @type {import('express').RequestHandler}
 */
export const jsonOnly = (request, _response, next) => {
  if (request.method === 'POST' && !request.is('json')) abort(415, 'Send JSON.')
  next()
}
