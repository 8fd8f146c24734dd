import type { Runtime } from "../contract/context.ts";
import { parseDuration } from "../contract/duration.ts";
import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import type { Awaitable } from "../contract/stream-reader.ts";
import { guard } from "./sessions/guard.ts";

/** When a call that ends a batch counts as stalled, and who is told. */
export interface CallWatching {
  /** A duration such as `"5 minutes"`. */
  readonly after: string;
  /** Receives `COMMIT_STALLED`, again each time that the wait has doubled. */
  onStalled(warning: MillraceError): void;
}

/**
 * Warns while a call of the source or the sink that ends a batch does not return. The call is not
 * abandoned, because its outcome would be unknown.
 */
export class CallWatch {
  readonly #runtime: Pick<Runtime, "monotonic" | "sleep">;
  readonly #watching: CallWatching | undefined;

  /** Without `watching`, calls are only made. */
  constructor(runtime: Pick<Runtime, "monotonic" | "sleep">, watching: CallWatching | undefined) {
    this.#runtime = runtime;
    this.#watching = watching;
  }

  /** Calls a method of the sink. Error: `SINK_FAILED`. */
  async callSink<T>(
    method: string,
    where: ErrorLocation,
    body: () => Awaitable<T>,
    failed = "failed",
  ): Promise<T> {
    return await this.watch(`${method} of the sink`, where, () =>
      guard("SINK_FAILED", `${method} ${failed}`, where, body),
    );
  }

  /** Waits for `body`. `call` names it in warnings. */
  async watch<T>(call: string, where: ErrorLocation, body: () => Promise<T>): Promise<T> {
    const ended = new AbortController();
    if (this.#watching !== undefined)
      this.#warn(call, where, this.#watching, ended.signal).catch(() => undefined);
    try {
      return await body();
    } finally {
      ended.abort();
    }
  }

  async #warn(call: string, where: ErrorLocation, watching: CallWatching, ended: AbortSignal): Promise<void> {
    const startedAt = this.#runtime.monotonic();
    for (let wait = parseDuration(watching.after); ; ) {
      await this.#runtime.sleep(wait, ended);
      wait = this.#runtime.monotonic() - startedAt;
      watching.onStalled(stalled(call, where, wait));
    }
  }
}

function stalled(call: string, where: ErrorLocation, milliseconds: number): MillraceError {
  return new MillraceError(
    "COMMIT_STALLED",
    `${call} has not answered for ${Math.round(milliseconds / 1000)} s, at the end of batch ${where.batchId} of "${where.pipeline}"`,
    {
      where,
      hint: "Look whether it answers, and give what the call waits for a time limit. The run can be stopped: the next `millrace run` goes on with the batch. Raise stallAfter if it is only slow.",
    },
  );
}
