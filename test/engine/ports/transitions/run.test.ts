import { describe, expect, it } from "vitest";
import type { Batch, Head } from "../../../../shared/engine/ports/ledger.ts";
import { rewound } from "../../../../shared/engine/ports/manual-transitions.ts";
import type { Transition } from "../../../../shared/engine/ports/transition.ts";
import * as transitions from "../../../../shared/engine/ports/transitions.ts";
import {
  ACTION,
  ALICE,
  BATCH,
  code,
  FENCE,
  HEAD,
  LOST,
  make,
  NO_ITEMS,
  OPEN,
  PLAN,
  PROGRESS,
} from "./made.ts";

const BOB = { id: "bob", description: "run bob" };

describe("acquired", () => {
  const request = {
    pipeline: "orders",
    owner: BOB,
    now: 8999,
    leaseMilliseconds: 60,
    newIncarnation: "life-2",
  };
  const acquire = (overrides: object, head: Head | undefined = HEAD) =>
    make(transitions.acquired({ ...request, ...overrides }), { head });

  it("An acquisition makes the head with epoch 1 and the given incarnation if there is none", () => {
    expect(make(transitions.acquired(request), { head: undefined })).toEqual({
      made: true,
      head: {
        pipeline: "orders",
        incarnation: "life-2",
        epoch: 1,
        nextBatchId: 0,
        lease: { owner: BOB, expiresAt: 9059 },
      },
    });
  });

  it("An acquisition is refused to another owner while the lease lasts, without an error", () => {
    expect(acquire({})).toEqual({ made: false, head: HEAD });
  });

  it("An acquisition keeps all fields of a head but lease and epoch", () => {
    expect(acquire({ now: 9000 })).toEqual({
      made: true,
      head: { ...HEAD, epoch: 5, lease: { owner: BOB, expiresAt: 9060 } },
    });
  });

  it("An acquisition takes a lease that was given back", () => {
    const { lease: _lease, ...free } = HEAD;
    expect(acquire({}, free)).toMatchObject({ made: true, head: { epoch: 5 } });
  });

  it("An acquisition by the owner of the lease takes a new epoch", () => {
    expect(acquire({ owner: ALICE })).toMatchObject({ made: true, head: { epoch: 5 } });
  });

  it("An acquisition takes over from the epoch that is known to have ended, and from no other", () => {
    expect(acquire({ takeOver: FENCE })).toMatchObject({ made: true, head: { epoch: 5 } });
    expect(acquire({ takeOver: LOST })).toMatchObject({ made: false });
    expect(acquire({ takeOver: { ...FENCE, incarnation: "another" } })).toMatchObject({ made: false });
  });
});

describe("a run that has lost the pipeline", () => {
  const committing: Batch = { ...BATCH, state: "committing" };
  const outcome = { to: "committed", progress: PROGRESS, now: 2000 } as const;
  const steps: readonly [string, Transition, Batch?][] = [
    ["initialize", transitions.initialized(LOST, { n: 0 })],
    ["plan", transitions.planned(LOST, PLAN)],
    ["replan", transitions.replanned(LOST, BATCH, 2000), BATCH],
    ["decide", transitions.decided(LOST, BATCH, { to: "committing" }), BATCH],
    ["finish", transitions.finished(LOST, committing, outcome, NO_ITEMS), committing],
    ["acknowledge", transitions.acknowledged(LOST, 6)],
    ["rewind", rewound(LOST, { ...ACTION, from: { n: 60 }, to: { n: 0 } })],
  ];

  it.each(steps)(
    "A run that has lost the pipeline cannot %s, whatever else holds",
    (_name, transition, batch) => {
      const { offset: _offset, ...empty } = HEAD;
      const heads = [HEAD, OPEN, empty, { ...HEAD, unacknowledged: { batchId: 6, end: { n: 60 } } }];
      for (const head of heads) expect(() => make(transition, { head, batch })).toThrow(code("FENCED"));
    },
  );

  it.each(steps.slice(0, -1))(
    "A run whose pipeline has lost its head cannot %s",
    (_name, transition, batch) => {
      expect(() => make(transition, { head: undefined, batch })).toThrow(code("FENCED"));
    },
  );

  it("A run that has lost the pipeline leaves the new holder's lease", () => {
    expect(make(transitions.released(LOST), { head: HEAD })).toEqual({ made: false, head: HEAD });
  });
});

describe("initialized", () => {
  it("A pipeline keeps its first offset, and a later one is no error", () => {
    const { offset: _offset, ...empty } = HEAD;
    expect(make(transitions.initialized(FENCE, { n: 5 }), { head: empty }).head?.offset).toEqual({ n: 5 });
    expect(make(transitions.initialized(FENCE, { n: 5 }), { head: HEAD })).toEqual({
      made: false,
      head: HEAD,
    });
  });
});
