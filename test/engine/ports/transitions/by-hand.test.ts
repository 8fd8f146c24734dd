import { describe, expect, it } from "vitest";
import * as manual from "../../../../shared/engine/ports/manual-transitions.ts";
import { ACTION, code, FENCE, HEAD, LOST, make, OPEN } from "./made.ts";

describe("actions of a person", () => {
  const rewind = { ...ACTION, from: { n: 60 }, to: { n: 10 } };

  it("A person's action is recorded in the journal with who, when and what", () => {
    expect(manual.paused("orders", ACTION).entry).toEqual({ action: "pause", ...ACTION });
    expect(manual.resumed("orders", ACTION).entry).toEqual({ action: "resume", ...ACTION });
    expect(manual.rewound(FENCE, rewind).entry).toEqual({ action: "rewind", ...rewind });
    expect(manual.unlocked(FENCE, ACTION).entry).toEqual({ action: "unlock", ...ACTION });
  });

  it("A person's action is refused for a missing pipeline", () => {
    const all = [
      manual.paused("orders", ACTION),
      manual.resumed("orders", ACTION),
      manual.rewound(FENCE, rewind),
      manual.unlocked(FENCE, ACTION),
    ];
    for (const transition of all)
      expect(() => make(transition, { head: undefined })).toThrow(code("PIPELINE_NOT_FOUND"));
  });

  it("A pause is set and ended beside a run, whatever its epoch is", () => {
    const { head } = make(manual.paused("orders", ACTION), { head: OPEN });
    expect(head).toEqual({ ...OPEN, paused: ACTION });
    expect(make(manual.resumed("orders", ACTION), { head }).head).toEqual(OPEN);
  });

  it("A rewind moves the offset and drops a due acknowledgement, but no ids", () => {
    const due = { ...HEAD, unacknowledged: { batchId: 6, end: { n: 60 } } };
    expect(make(manual.rewound(FENCE, rewind), { head: due }).head).toEqual({
      ...HEAD,
      offset: { n: 10 },
      isSinkUnchecked: true,
    });
  });

  it("A rewind is refused while a batch is open, and from an offset that is not the present one", () => {
    const { offset: _offset, ...empty } = HEAD;
    expect(() => make(manual.rewound(FENCE, rewind), { head: OPEN })).toThrow(code("BATCH_OPEN"));
    for (const head of [empty, { ...HEAD, offset: { n: 59 } }])
      expect(() => make(manual.rewound(FENCE, rewind), { head })).toThrow(code("LEDGER_CONFLICT"));
  });

  it("An unlock fences the holder of the epoch and no other", () => {
    const { lease: _lease, ...free } = HEAD;
    expect(make(manual.unlocked(FENCE, ACTION), { head: HEAD }).head).toEqual({ ...free, epoch: 5 });
    expect(() => make(manual.unlocked(LOST, ACTION), { head: HEAD })).toThrow(code("LEDGER_CONFLICT"));
  });
});
