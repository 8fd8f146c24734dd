import type { Trap } from "../trap.ts";
import { AVAILABLE_NOW } from "./available-now.ts";
import { BATCH_PARTITIONS } from "./batch-partitions.ts";
import { COMMIT } from "./commit.ts";
import { FIRST_RANGE } from "./first-range.ts";
import { initialOffset } from "./initial-offset.ts";
import { NEXT_OFFSETS } from "./next-offsets.ts";
import { OFFSET_ORDER } from "./offset-order.ts";
import { ONLY_RANGE } from "./only-range.ts";
import { RANGES } from "./ranges.ts";
import { READ_LIMIT } from "./read-limit.ts";
import { SIMPLE_COMMIT } from "./simple-commit.ts";
import { ONLY_READ } from "./simple-only-range.ts";
import { READ_RANGES } from "./simple-ranges.ts";
import { FIRST_READ, SECOND_READ } from "./simple-read.ts";
import { FIRST_REPLAY, SECOND_REPLAY } from "./simple-replay.ts";
import { STABLE_READ } from "./simple-stable.ts";
import { STABLE_END } from "./stable-end.ts";
import { STOP } from "./stop.ts";
import type { BatchSubject, SimpleSubject, StreamSubject } from "./subject.ts";

/**
 * The checks of a stream reader, in order. Later ones use what earlier ones stored in the subject.
 */
export const STREAM_TRAPS: readonly Trap<StreamSubject>[] = [
  initialOffset(),
  READ_LIMIT,
  STABLE_END,
  NEXT_OFFSETS,
  OFFSET_ORDER,
  FIRST_RANGE,
  ONLY_RANGE,
  RANGES,
  COMMIT,
  AVAILABLE_NOW,
  STOP,
];

/** The checks of a simple stream reader, in order. */
export const SIMPLE_TRAPS: readonly Trap<SimpleSubject>[] = [
  initialOffset(),
  FIRST_READ,
  STABLE_READ,
  FIRST_REPLAY,
  SECOND_READ,
  ONLY_READ,
  SECOND_REPLAY,
  READ_RANGES,
  SIMPLE_COMMIT,
];

/** The checks of a batch reader. */
export const BATCH_TRAPS: readonly Trap<BatchSubject>[] = [BATCH_PARTITIONS];
