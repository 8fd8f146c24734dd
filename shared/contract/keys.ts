/** Formats a whole number with leading zeros, so that keys sort in numeric order. */
export function padded(number: number, digits: number): string {
  return String(number).padStart(digits, "0");
}

/** Formats a batch id for a key. */
export function batchDigits(batchId: number): string {
  return padded(batchId, 12);
}

/** Formats the index of a partition, or of a file within a batch, for a key. */
export function partitionDigits(index: number): string {
  return padded(index, 6);
}
