import type { SupportsStagedFiles } from "../../../contract/stream-writer.ts";
import { throughJson } from "../../through-json.ts";
import type { Trap } from "../trap.ts";
import { attemptOf, batchOf, isStaged, type SinkSubject, type Staged } from "./subject.ts";

const HINT =
  "findDamaged(messages, batch) looks at the files that the messages name, and changes nothing. The engine asks it before each commit.";

/**
 * Detects a `findDamaged` that finds damage although there is none. The commit that follows detects
 * one that deletes what is staged.
 */
export const DAMAGED: Trap<SinkSubject, Staged> = {
  code: "STAGED_CHECK_WRONG",
  applies: isStaged,
  async run(sink) {
    const named = { code: "STAGED_CHECK_WRONG", hint: HINT } as const;
    const attempt = attemptOf(sink, 0);
    for (const what of ["findDamaged() of a batch that is staged", "findDamaged() again"]) {
      const look = async () => {
        const writer = (await sink.factory.make(sink.schema, false)) as Partial<SupportsStagedFiles<unknown>>;
        const damaged = await writer.findDamaged?.(throughJson(sink.messages), batchOf(sink, attempt, false));
        const [file] = damaged ?? [];
        if (file !== undefined)
          throw new Error(`it found ${JSON.stringify(file)}, which is as it was staged`);
      };
      if (!(await sink.findings.check(what, look, named))) return false;
    }
    return true;
  },
};
