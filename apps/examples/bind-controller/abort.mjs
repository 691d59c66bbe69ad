/**
 * Ends the request with an error that the user can read.
 *
 * @param {number} status
 * @param {string} message
 * @returns {never}
 */
export function abort(status, message) {
  throw Object.assign(new Error(message), { expose: true, status })
}
