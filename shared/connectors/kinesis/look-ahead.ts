import { markOf, PAGE_RECORDS, type Position, type Stream, type StreamRecord } from "./stream.ts";

/** The records of a shard that a batch will contain, as planning found them. */
export interface Sight {
  /** The first and the last record of the batch; both are missing if there are no new records. */
  readonly first?: StreamRecord;
  readonly last?: StreamRecord;
  /**
   * Why the batch ends in this shard: `tip`, there are no newer records yet; `end`, the shard is
   * closed and fully read; `until`, the next record arrived after `until`; `enough`, the batch has
   * enough records.
   */
  readonly stop: "tip" | "end" | "until" | "enough";
}

interface Scan extends Sight {
  readonly count: number;
}

/**
 * Maximum number of records that planning reads to find the end of a batch. If there are more, the
 * end is found by arrival time.
 */
const PEEKED = 1000;
/** A search by time ignores records newer than this, because clocks differ. */
const SETTLED_MILLISECONDS = 1000;
const NEARER_LOOKS = 5;

/**
 * Finds the first and last record of the next batch in a shard. The end must be the sequence number
 * of a record, but Kinesis does not return the last one. So this reads up to 1,000 records,
 * estimates from their arrival times when the batch would be full, and asks for the record at that
 * time.
 */
export async function lookAhead(
  stream: Stream,
  shardId: string,
  position: Position,
  options: {
    readonly maxRecords: number;
    readonly now: number;
    /** Records that arrived later are left to another run. Epoch milliseconds. */
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
  // No record arrived after `furthest`, so few records are left. `lookNearer` skips as many of them
  // as it can by time, and the rest is read.
  const best = await lookNearer(look, last, furthest);
  const tail = await scan(stream, shardId, { after: markOf(best) }, maxRecords - count, until);
  return { ...tail, first, last: tail.last ?? best };
}

/**
 * Searches for a record as late as possible before `limit` by bisecting the time, `NEARER_LOOKS`
 * times.
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

/** Compares as BigInt because sequence numbers are larger than a number can hold exactly. */
function isAfter(a: StreamRecord, b: StreamRecord): boolean {
  return BigInt(a.sequenceNumber) > BigInt(b.sequenceNumber);
}
