/**
 * The port for rows that do not fit into memory while one task sorts them. Each run of rows is
 * written once, read in pieces, and deleted. What a killed task leaves is deleted by whoever made
 * the place.
 */
export interface Scratch {
  /** Writes a run. `run` is a number that was not used before. */
  write(run: number, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Returns bytes `start` (inclusive) to `end` (exclusive), or fewer if the run is damaged. */
  read(run: number, start: number, end: number): Promise<Uint8Array>;
  /** Deletes runs. Those that do not exist are ignored. */
  delete(runs: readonly number[]): Promise<void>;
}
