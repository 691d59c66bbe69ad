/**
 * Finds an element of the page that the script cannot do without.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id)
  if (!(element instanceof type)) throw new Error(`The page has no ${type.name} #${id}`)
  return element
}

/**
 * Makes an element; text goes in as text, never as HTML.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function create(tag, className, text) {
  const element = document.createElement(tag)
  if (className) element.className = className
  if (text !== undefined) element.textContent = text
  return element
}

/**
 * Makes a name's coloured disc with its first letter; equal names have equal colours.
 *
 * @param {string} name
 */
export function createAvatar(name) {
  const [letter = '?'] = name
  const avatar = create('span', 'avatar', letter.toUpperCase())
  avatar.setAttribute('aria-hidden', 'true')
  let hash = 0
  for (const char of name) hash = (hash * 31 + /** @type {number} */ (char.codePointAt(0))) % 3600
  avatar.style.setProperty('--hue', String((hash * 47) % 360))
  return avatar
}
