// Percentiles of any number of latencies in constant memory: 64 buckets to each power of two, so a bucket is at most
// 1.6 % wide, and recording costs a few instructions.
const SUB_BUCKET_BITS = 6
const SUB_BUCKETS = 1 << SUB_BUCKET_BITS

/** A log-linear histogram of whole microseconds. */
export class LatencyHistogram {
  #counts = new Float64Array((32 - SUB_BUCKET_BITS + 1) * SUB_BUCKETS)
  #total = 0

  /** Adds one latency in microseconds, an integer in 0 … 2^31-1. */
  record(latencyUs) {
    this.#counts[bucketOf(latencyUs)]++
    this.#total++
  }

  /** The latency in microseconds that `share` (0 … 1) of the recorded ones do not exceed; 0 when there are none. */
  percentile(share) {
    const rank = Math.ceil(share * this.#total)
    let seen = 0
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      seen += this.#counts[bucket]
      if (seen >= rank && seen > 0) return largestOf(bucket)
    }
    return 0
  }

  /** Forgets everything recorded. */
  reset() {
    this.#counts.fill(0)
    this.#total = 0
  }
}

function bucketOf(value) {
  if (value < SUB_BUCKETS) return value
  const exponent = 31 - Math.clz32(value)
  const shift = exponent - SUB_BUCKET_BITS
  return (shift + 1) * SUB_BUCKETS + ((value >> shift) & (SUB_BUCKETS - 1))
}

/** The largest value that falls into a bucket, so that a percentile never looks better than it was. */
function largestOf(bucket) {
  if (bucket < SUB_BUCKETS) return bucket
  const shift = Math.floor(bucket / SUB_BUCKETS) - 1
  return (SUB_BUCKETS + (bucket % SUB_BUCKETS) + 1) * 2 ** shift - 1
}
