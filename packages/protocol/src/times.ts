/** The longest time that a timer takes, in milliseconds: 24.8 days. setTimeout makes 1 ms of a longer one. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Options with times (`…Ms`) that timers take: a longer one, or Infinity, is the longest. Throws a RangeError that names what is no time. */
export function withTimes<Options extends object>(options: Options): Options {
  const times = Object.entries(options)
    .filter(([name, value]) => name.endsWith('Ms') && value !== undefined)
    .map(([name, value]) => {
      if (typeof value !== 'number' || !(value >= 0)) throw new RangeError(`${name} must be a time in milliseconds`)
      return [name, Math.min(value, MAX_TIMER_MS)]
    })
  return { ...options, ...Object.fromEntries(times) }
}
