// Small sums over probabilities, and how numbers are written.

/** Index of the largest value. */
export function top(values) {
  return values.reduce((best, value, k) => (value > values[best] ? k : best), 0);
}

/** The indices of the `count` largest values, in descending order. */
export function largest(values, count) {
  const order = [...values.keys()].sort((a, b) => values[b] - values[a]);
  return order.slice(0, count);
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Entropy in nats; 0 · log 0 is 0. */
export function entropy(probabilities) {
  return -probabilities.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0);
}

/**
 * The ensemble of members: their mean, calibrated by a temperature, its entropy, and the mutual
 * information without the temperature, in nats.
 */
export function combine(members, temperature) {
  const mean = members[0].map(
    (_, k) => members.reduce((sum, member) => sum + member[k], 0) / members.length,
  );
  const own = members.reduce((sum, member) => sum + entropy(member), 0) / members.length;
  const powers = mean.map((p) => p ** (1 / temperature));
  const total = powers.reduce((sum, p) => sum + p, 0);
  const probabilities = powers.map((p) => p / total);
  return {
    probabilities,
    entropy: entropy(probabilities),
    disagreement: Math.max(entropy(mean) - own, 0),
  };
}

/** A probability in per cent, without the sign. */
export function percent(probability) {
  return (100 * probability).toFixed(1);
}

/** A time in milliseconds. */
export function milliseconds(ms) {
  return `${ms < 1 ? ms.toFixed(2) : ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}
