import { checkOffset, type Offset } from "../../../contract/offset.ts";
import type { Awaitable } from "../../../contract/stream-reader.ts";
import { throughJson } from "../../through-json.ts";
import { always, type Trap } from "../trap.ts";
import type { Subject } from "./subject.ts";

interface Stream extends Subject<{ initialOffset(): Awaitable<object> }> {
  start?: Offset;
}

/** Detects an initial offset that JSON would lose or change. */
export function initialOffset<S extends Stream>(): Trap<S> {
  return {
    code: "OFFSET_NOT_JSON",
    applies: always,
    async run(stream) {
      return await stream.findings.check("initialOffset()", async () => {
        const first = await (await stream.make()).initialOffset();
        stream.start = throughJson(checkOffset(first, "initialOffset()"));
      });
    },
  };
}
