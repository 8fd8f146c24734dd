import { markOf, PAGE_RECORDS, type Position, type Stream, type StreamRecord } from "./stream.ts";

/** What planning saw of a shard. */
export interface Sight {
  /** The first and the last record of the batch; none if nothing is new. */
  readonly first?: StreamRecord;
  readonly last?: StreamRecord;
  /**
   * Why it goes no further: nothing follows yet, or ever; the time up to which to read was passed;
   * there are enough records.
   */
  readonly stop: "tip" | "end" | "until" | "enough";
}

interface Scan extends Sight {
  readonly count: number;
}

/**
 * Records that are read to see where a batch ends; if there are more, a look by time finds its
 * end.
 */
const PEEKED = 1000;
/** The newest records are left alone by a look by time: clocks differ. */
const SETTLED_MILLISECONDS = 1000;
const NEARER_LOOKS = 5;

/**
 * Finds where a batch ends in a shard: an end has to be a record, for only they have an order, and
 * Kinesis does not tell which one is the last. Up to 1,000 records are read for it; how far more of
 * them reach is guessed by their times, and the record there asked for.
 */
export async function lookAhead(
  stream: Stream,
  shardId: string,
  position: Position,
  options: {
    readonly maxRecords: number;
    readonly now: number;
    /** Records that came later are left for another run. Epoch milliseconds. */
    readonly until: number | undefined;
  },
): Promise<Sight> {
  const { maxRecords, now, until } = options;
  const head = await scan(stream, shardId, position, Math.min(PEEKED, maxRecords), until);
  const { first, last, count } = head;
  if (head.stop !== "enough" || first === undefined || last === undefined || count >= maxRecords) return head;

  const look = async (time: number, best: StreamRecord): Promise<StreamRecord | undefined> => {
    if (time <= best.arrivedAt) return undefined;
    const found = await stream.first(shardId, { since: time });
    const isAhead = found !== undefined && isAfter(found, best) && found.arrivedAt <= (until ?? now);
    return isAhead ? found : undefined;
  };
  const span = (last.arrivedAt - first.arrivedAt) * (maxRecords / count);
  const furthest = Math.min(first.arrivedAt + span, until ?? now - SETTLED_MILLISECONDS);
  const there = await look(furthest, last);
  if (there !== undefined) return { first, last: there, stop: "enough" };
  // Nothing came that late: what is left is little, and is read to its end.
  const best = await lookNearer(look, last, furthest);
  const tail = await scan(stream, shardId, { after: markOf(best) }, maxRecords - count, until);
  return { ...tail, first, last: tail.last ?? best };
}

/**
 * The furthest record before `limit` that some looks find, each half as far away as the one before.
 */
async function lookNearer(
  look: (time: number, best: StreamRecord) => Promise<StreamRecord | undefined>,
  from: StreamRecord,
  limit: number,
): Promise<StreamRecord> {
  let best = from;
  let nearest = limit;
  for (let i = 0; i < NEARER_LOOKS; i++) {
    const time = Math.floor((best.arrivedAt + nearest) / 2);
    const found = await look(time, best);
    if (found === undefined) nearest = time;
    else best = found;
  }
  return best;
}

async function scan(
  stream: Stream,
  shardId: string,
  position: Position,
  maxRecords: number,
  until = Number.POSITIVE_INFINITY,
): Promise<Scan> {
  let first: StreamRecord | undefined;
  let last: StreamRecord | undefined;
  let count = 0;
  const stopped = (stop: Sight["stop"]): Scan => ({
    stop,
    count,
    ...(first === undefined ? {} : { first }),
    ...(last === undefined ? {} : { last }),
  });
  for await (const page of stream.pages(shardId, position, Math.min(PAGE_RECORDS, maxRecords))) {
    for (const record of page.records) {
      if (count === maxRecords) return stopped("enough");
      if (record.arrivedAt > until) return stopped("until");
      first ??= record;
      last = record;
      count++;
    }
    if (page.isEnd) return stopped("end");
    if (page.isTip) return stopped("tip");
    if (count === maxRecords) return stopped("enough");
  }
  return stopped("tip");
}

/** Sequence numbers have more digits than a number holds. */
function isAfter(a: StreamRecord, b: StreamRecord): boolean {
  return BigInt(a.sequenceNumber) > BigInt(b.sequenceNumber);
}
