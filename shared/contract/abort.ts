/**
 * Calls `listener` when the signal aborts, or at once if it has aborted. Returns a function that
 * removes the listener. Call it when the wait is over: until then a long-lived signal keeps
 * everything in memory that the listener uses.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return () => undefined;
  }
  signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}

/** A signal that follows others, until `unlink` is called. */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  unlink(): void;
}

/**
 * Returns a signal that aborts with the first of `sources`, with its reason. `AbortSignal.any` does
 * the same, but its signal stays in memory for as long as it has a listener.
 */
export function linkSignals(...sources: readonly AbortSignal[]): LinkedSignal {
  const controller = new AbortController();
  const unlinks = sources.map((source) => onAbort(source, () => controller.abort(source.reason)));
  return {
    signal: controller.signal,
    unlink() {
      for (const unlink of unlinks) unlink();
    },
  };
}
