const longestList = 8

/** What the browser remembers for the next visit: nickname and rooms. Storage may be forbidden; then nothing is. */
export const remembered = {
  get name() {
    return read('chat.name') ?? ''
  },
  set name(name) {
    write('chat.name', name)
  },

  /** Whether this tab was in a room: a reload goes back there without asking. */
  get isInChat() {
    return read('chat.in', 'session') === 'yes'
  },
  set isInChat(isIn) {
    write('chat.in', isIn ? 'yes' : 'no', 'session')
  },

  /** The rooms visited, the latest first. @returns {string[]} */
  get rooms() {
    try {
      const rooms = JSON.parse(read('chat.rooms') ?? '[]')
      return Array.isArray(rooms) ? rooms.filter((room) => typeof room === 'string') : []
    } catch {
      return []
    }
  },
  /** @param {string} room */
  addRoom(room) {
    write('chat.rooms', JSON.stringify([room, ...this.rooms.filter((other) => other !== room)].slice(0, longestList)))
  },
}

/** @param {string} key @param {'local' | 'session'} [area] */
function read(key, area = 'local') {
  try {
    return window[`${area}Storage`].getItem(key)
  } catch {
    return null
  }
}

/** @param {string} key @param {string} value @param {'local' | 'session'} [area] */
function write(key, value, area = 'local') {
  try {
    window[`${area}Storage`].setItem(key, value)
  } catch {
    // The chat works without a memory.
  }
}
