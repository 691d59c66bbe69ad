/** Control characters but line feed and tab, and those that change the direction of what follows. */
const UNPRINTABLE = /[^\P{Cc}\n\t]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** Text from elsewhere as a terminal may show it: it neither moves the cursor nor changes anything but the text itself. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, '?')
}

/** A value as JSON for programs and people, which says the same with such characters escaped. */
export function printableJson(value: unknown): string {
  const escapeOne = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(value, null, 2).replaceAll(UNPRINTABLE, escapeOne)
}
