import type { Offset } from "../../../contract/offset.ts";
import type { Trap } from "../trap.ts";
import { compareRanges, placesOf } from "./compare.ts";
import { readRange } from "./reading.ts";
import { type FirstRange, hasReadFirstRange, type ReadRange, type StreamSubject } from "./subject.ts";

type Ready = StreamSubject & FirstRange & { readonly c: Offset; readonly ab: ReadRange };

/** Detects two consecutive ranges that share a row or lose one between them. */
export const RANGES: Trap<StreamSubject, Ready> = {
  code: "RANGES_OVERLAP",
  applies: (stream): stream is Ready => hasReadFirstRange(stream) && stream.c !== undefined,
  async run(stream) {
    const { start, b, c, ab } = stream;
    const bc = await readRange(stream, b, c);
    const ac = await readRange(stream, start, c);
    if (bc === undefined) return true;
    stream.bc = bc;
    if (ac === undefined) return true;
    const parts = [...ab.partitions.flat(), ...bc.partitions.flat()];
    compareRanges(stream, parts, ac.partitions.flat(), placesOf(start, b, c));
    return true;
  },
};
