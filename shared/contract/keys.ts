/**
 * A whole number as text of so many digits, for a key: keys are then in the order of their numbers.
 */
export function padded(number: number, digits: number): string {
  return String(number).padStart(digits, "0");
}

/** A batch id in a key. */
export function batchDigits(batchId: number): string {
  return padded(batchId, 12);
}

/** The index of a partition, or of one file of a batch, in a key. */
export function partitionDigits(index: number): string {
  return padded(index, 6);
}
