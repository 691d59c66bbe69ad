import { create, createAvatar } from './dom.js'

const longestList = 100
const collator = new Intl.Collator()

/** @typedef {{ clientId: string, name: string }} Member */

/**
 * Who is in the room. A big room is not drawn whole: the first hundred are, and a search finds the rest.
 */
export class MemberList {
  /** @type {Map<string, Member>} */
  #members = new Map()
  /** Who left since the last `reset()`: a list that was made before they went may arrive after it. @type {Set<string>} */
  #gone = new Set()
  #list
  #search
  #count
  #onPick
  #isDrawPlanned = false
  #me = ''
  #picked = ''

  /**
   * @param {{ list: HTMLElement, search: HTMLInputElement, count: HTMLElement[] }} elements
   * @param {(member: Member) => void} onPick
   */
  constructor({ list, search, count }, onPick) {
    this.#list = list
    this.#search = search
    this.#count = count
    this.#onPick = onPick
    search.addEventListener('input', () => this.#planDraw())
    list.addEventListener('click', (event) => this.#onClick(event))
  }

  /** Forgets everybody: a room is about to be entered. */
  reset() {
    this.#members.clear()
    this.#gone.clear()
    this.#search.value = ''
    this.#planDraw()
  }

  /**
   * Takes the room's list; what arrived about single members since `reset()` stands.
   *
   * @param {string} me our own client id
   * @param {Member[]} members
   */
  merge(me, members) {
    this.#me = me
    for (const member of members) if (!this.#gone.has(member.clientId)) this.#members.set(member.clientId, member)
    this.#planDraw()
  }

  /** @param {Member} member @returns {boolean} whether it was not there yet */
  add(member) {
    const isNew = !this.#members.has(member.clientId)
    this.#members.set(member.clientId, member)
    this.#gone.delete(member.clientId)
    this.#planDraw()
    return isNew
  }

  /** @param {Member} member */
  remove(member) {
    this.#members.delete(member.clientId)
    this.#gone.add(member.clientId)
    this.#planDraw()
  }

  /** @param {string} clientId */
  has(clientId) {
    return this.#members.has(clientId)
  }

  get size() {
    return this.#members.size
  }

  /** Marks the one that private messages go to, '' for none. @param {string} clientId */
  markPicked(clientId) {
    this.#picked = clientId
    this.#planDraw()
  }

  /** Changes that come together are drawn once. */
  #planDraw() {
    if (this.#isDrawPlanned) return
    this.#isDrawPlanned = true
    // Not an animation frame: a hidden page has none, and the count in its list would grow old.
    setTimeout(() => this.#draw(), 16)
  }

  #draw() {
    this.#isDrawPlanned = false
    const wanted = this.#search.value.trim().toLowerCase()
    const found = [...this.#members.values()].filter(({ name }) => name.toLowerCase().includes(wanted))
    found.sort(
      (a, b) => Number(b.clientId === this.#me) - Number(a.clientId === this.#me) || collator.compare(a.name, b.name),
    )

    const focused = document.activeElement?.closest('li')?.dataset.clientId
    const items = found.slice(0, longestList).map((member) => this.#createItem(member))
    if (found.length > longestList) items.push(create('li', 'more', `and ${found.length - longestList} more`))
    if (found.length === 0) items.push(create('li', 'more', wanted ? 'Nobody of that name' : 'Nobody yet'))
    this.#list.replaceChildren(...items)
    // The list was made anew under the keyboard's focus.
    if (focused)
      items
        .find((item) => item.dataset.clientId === focused)
        ?.querySelector('button')
        ?.focus()
    for (const count of this.#count) count.textContent = String(this.#members.size)
    this.#search.hidden = this.#members.size < 10 && !wanted
  }

  /** @param {Member} member */
  #createItem({ clientId, name }) {
    const item = create('li', 'member')
    item.dataset.clientId = clientId
    const isMe = clientId === this.#me
    const row = create(isMe ? 'span' : 'button', 'row')
    row.append(createAvatar(name), create('bdi', 'name', name))
    if (isMe) {
      row.append(create('span', 'hint', 'you'))
    } else {
      row.title = `Write privately to ${name}`
      row.setAttribute('aria-pressed', String(clientId === this.#picked))
    }
    item.append(row)
    return item
  }

  /** @param {MouseEvent} event */
  #onClick(event) {
    const button = event.target instanceof Element ? event.target.closest('button') : null
    const member = this.#members.get(button?.closest('li')?.dataset.clientId ?? '')
    if (button && member) this.#onPick(member)
  }
}
