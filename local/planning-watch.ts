import { onAbort } from "../shared/contract/abort.ts";
import { parseDuration } from "../shared/contract/duration.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { stallPolicyOf } from "../shared/engine/write/watch.ts";
import type { RunOptions } from "./run-options.ts";

/** How long a method of the source may take to return after the run is interrupted. */
const GRACE_MILLISECONDS = 5000;

/**
 * Warns when a source does not respond during planning, and abandons it after the run is
 * interrupted.
 */
export class PlanningWatch {
  readonly #options: RunOptions;
  readonly #ports: Ports;
  #waitsFor: string | undefined;

  constructor(options: RunOptions, ports: Ports) {
    this.#options = options;
    this.#ports = ports;
  }

  /** Records which method of the source is being called. */
  recordCall(method: string | undefined): void {
    this.#waitsFor = method;
  }

  /**
   * Returns the result of planning. Returns `undefined` if the run is interrupted and the source
   * does not respond in time.
   */
  async abandonIfStuck<T>(planning: Promise<T>): Promise<T | undefined> {
    const { signal } = this.#options;
    const ended = new AbortController();
    const { sleep } = this.#ports.runtime;
    this.#warnIfStalled(ended.signal);
    const { promise: interrupted, resolve } = Promise.withResolvers<void>();
    const stopListening = onAbort(signal, resolve);
    const stuck = interrupted
      .then(() => sleep(GRACE_MILLISECONDS, ended.signal))
      .then(
        () => undefined,
        () => undefined,
      );
    try {
      return await Promise.race([planning, stuck]);
    } finally {
      stopListening();
      ended.abort();
      // An abandoned plan may still reject; the process is about to end, so that is ignored.
      planning.catch(() => undefined);
    }
  }

  #warnIfStalled(ended: AbortSignal): void {
    const { pipeline, stall, onEvent } = this.#options;
    const { after } = stallPolicyOf(pipeline, stall);
    const warn = () => {
      const error = new MillraceError(
        "PLANNING_STALLED",
        `${this.#waitsFor ?? "planning"} has not answered for ${after}`,
        {
          where: { pipeline: pipeline.name },
          hint: "Look whether the source answers, and give what its reader waits for a time limit. Raise stallAfter where it is only slow.",
        },
      );
      onEvent({ type: "warning", error: error.toRecord() });
    };
    this.#ports.runtime.sleep(parseDuration(after), ended).then(warn, () => undefined);
  }
}
