import type { Offset } from "../../../shared/contract/offset.ts";
import { type ReadLimit, ReadMaxRows } from "../../../shared/contract/read-limit.ts";
import type { Awaitable, Row, SupportsTriggerAvailableNow } from "../../../shared/contract/stream-reader.ts";
import { type Part, reprOf } from "../batch-step.ts";
import { isDriver } from "./side.ts";
import { Src } from "./src.ts";
import { numberOf, StreamReader } from "./stream-reader.ts";

/** Sources whose readers differ from the reader of `Src` in one or two methods. */

class EmptyPartsReader extends StreamReader {
  override partitions(start: Offset, end: Offset): Part[] {
    this.log("reader.partitions", { start, end, returns: [] });
    return [];
  }
}

export class EmptyParts extends Src {
  override streamReader(): EmptyPartsReader {
    return new EmptyPartsReader(this.options);
  }
}

class EmptyRowsReader extends StreamReader {
  override rows(part: Part): Iterable<Row> {
    this.log("reader.read:enter", { partition: reprOf(part) });
    return [];
  }
}

export class EmptyRows extends Src {
  override streamReader(): EmptyRowsReader {
    return new EmptyRowsReader(this.options);
  }
}

/** A reader whose offset goes from 8 back to 4. */
class BackReader extends StreamReader {
  override latestOffset(start: Offset): Offset {
    const end = new Map([
      [0, { n: 8 }],
      [8, { n: 4 }],
    ]).get(numberOf(start));
    this.log("reader.latestOffset", { start, returns: end ?? start });
    return end ?? start;
  }

  override partitions(start: Offset, end: Offset): Part[] {
    this.log("reader.partitions", { start, end });
    return [
      {
        idx: 0,
        start: Math.min(numberOf(start), numberOf(end)),
        end: Math.max(numberOf(start), numberOf(end)),
      },
    ];
  }
}

export class Back extends Src {
  override streamReader(): BackReader {
    return new BackReader(this.options);
  }
}

/** A reader that limits its batches. It supports the trigger `availableNow`. */
class ANReader extends StreamReader implements SupportsTriggerAvailableNow {
  prepareForTriggerAvailableNow(): Awaitable<void> {
    this.log("reader.prepareForTriggerAvailableNow", {});
  }
}

export class AN extends Src {
  override streamReader(): ANReader {
    return new ANReader(this.options);
  }
}

/** A reader with the method signatures of Spark 4.0. It stores its own position. */
class OldSigReader extends StreamReader {
  #current = 0;

  override latestOffset(): Offset {
    this.#current = Math.min(this.#current + this.step, this.max);
    this.log("reader.latestOffset", { no_args: true, returns: { n: this.#current } });
    return { n: this.#current };
  }
}

export class OldSig extends Src {
  override streamReader(): OldSigReader {
    return new OldSigReader(this.options);
  }
}

/** A reader that respects the read limit. */
class AdmReader extends StreamReader {
  target: number | undefined;

  override getDefaultReadLimit(): ReadLimit {
    this.log("reader.getDefaultReadLimit", { returns: "ReadMaxRows(8)" });
    return new ReadMaxRows(8);
  }

  override latestOffset(start: Offset, limit: ReadLimit): Offset {
    const high = this.target ?? this.max;
    const end = { n: limit.kind === "ReadMaxRows" ? Math.min(numberOf(start) + limit.maxRows, high) : high };
    this.log("reader.latestOffset", { start, limit: String(limit), returns: end });
    return end;
  }

  override reportLatestOffset(): Offset {
    this.log("reader.reportLatestOffset", { returns: { n: this.max } });
    return { n: this.max };
  }
}

export class Adm extends Src {
  override streamReader(): AdmReader {
    return new AdmReader(this.options);
  }
}

class AdmANReader extends AdmReader implements SupportsTriggerAvailableNow {
  prepareForTriggerAvailableNow(): Awaitable<void> {
    this.target = this.max;
    this.log("reader.prepareForTriggerAvailableNow", { target: this.target });
  }
}

export class AdmAN extends Src {
  override streamReader(): AdmANReader {
    return new AdmANReader(this.options);
  }
}

/**
 * A reader that returns one offset with its keys in two orders. It is ported from its recording,
 * because sources.py does not have it.
 */
class BadReader extends StreamReader {
  override latestOffset(start: Offset): Offset {
    const end: Offset = "n" in start ? { a: 1, b: 2 } : { b: 2, a: 1 };
    const text = Object.entries(end).map(([key, value]) => `"${key}": ${JSON.stringify(value)}`);
    this.log("reader.latestOffset", { start, returns: `{${text.join(", ")}}` });
    return end;
  }

  override partitions(start: Offset, end: Offset): Part[] {
    this.log("reader.partitions", { start, end });
    return [{ idx: 0, start: 1, end: 2 }];
  }

  override *rows(part: Part): Iterable<Row> {
    yield [BigInt(part.start), part.idx];
  }

  /** Logs the call only in the driver, like the original. */
  override stop(): void {
    if (isDriver()) super.stop();
  }
}

export class Bad extends Src {
  override streamReader(): BadReader {
    return new BadReader(this.options);
  }
}
