import type { Args, Call } from "../trace.ts";
import { changeEach, isCall, isFaultAt, type Rewrite } from "./rewrite.ts";

/** Exceptions that follow from Spark's checkpoint and from its processes. */

export const checkpointOption: Rewrite = {
  id: "no-checkpoint-option",
  reason:
    "Spark passes the location of its checkpoint to the sink as an option. Millrace has a ledger, which is none of the sink's options.",
  rewrite(runs) {
    let used = false;
    for (const run of runs) {
      run.made = run.made.map((made) => {
        const { checkpointlocation, ...options } = (made.args["options"] ?? {}) as Args;
        if (checkpointlocation === undefined) return made;
        used = true;
        return { ...made, args: { ...made.args, options } };
      });
    }
    return used;
  },
};

export const readOnDemand: Rewrite = {
  id: "read-on-demand",
  reason:
    'A task is one process: `read` begins when `write` asks for the first batch. In Spark it runs beside `write`, which may never ask (k_write_does_not_consume: "may still run").',
  rewrite(runs) {
    const tasks = runs.flatMap((run) => run.tasks);
    return changeEach(tasks, ({ reader, writer }) => {
      const last = writer.at(-1);
      const neverAsks =
        isCall(last, "writer.write:return-without-consuming") || isFaultAt(last, "write:enter");
      if (!neverAsks || reader.length === 0) return false;
      reader.length = 0;
      return true;
    });
  },
};

export const stopAlways: Rewrite = {
  id: "stop-always",
  reason:
    "`stop` is best effort in Spark: its recordings have it after some ends of a run and not after others. Millrace calls it once at the end of every run that was not killed, and for each reader of a task.",
  rewrite(runs) {
    const stop = (): Call => ({ call: "reader.stop", args: {} });
    return changeEach(runs, (run) => {
      run.driver = run.driver.filter((call) => !isCall(call, "reader.stop"));
      const isMade = run.driver.some(({ call }) =>
        /^(reader\.|!! .* (reader\.commit|\w+Offset|partitions)$)/.test(call),
      );
      if (isMade && run.ended !== undefined) run.driver.push(stop());
      for (const { reader } of run.tasks) if (reader.length > 0) reader.push(stop());
      return isMade;
    });
  },
};
