import { DataSourceStreamReader, type Row } from "../../shared/contract/stream-reader.ts";
import { CheckError, checkSource, type Problem } from "../../shared/testing/index.ts";

export type Offset = { n: number };
export type Slice = { from: number; to: number };

/**
 * A correct reader with the rows 0 to 19, six per batch, in two partitions. Each test breaks one
 * thing in it.
 */
export class Good extends DataSourceStreamReader<Offset, Slice> {
  override initialOffset(): Offset {
    return { n: 0 };
  }
  override latestOffset({ n }: Offset): Offset {
    return { n: Math.min(n + 6, 20) };
  }
  override partitions(start: Offset, end: Offset): Slice[] {
    const middle = Math.floor((start.n + end.n) / 2);
    return [
      { from: start.n, to: middle },
      { from: middle, to: end.n },
    ];
  }
  override *read({ from, to }: Slice): Generator<Row> {
    for (let n = from; n < to; n++) yield { n, name: `row ${n}` };
  }
}

/** Returns the problems that the check finds. */
export async function problemsOf(...args: Parameters<typeof checkSource>): Promise<readonly Problem[]> {
  const error = await checkSource(...args).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CheckError)) throw error ?? new Error("nothing was found");
  return error.problems;
}
export async function codesOf(...args: Parameters<typeof checkSource>): Promise<string[]> {
  return (await problemsOf(...args)).map(({ code }) => code);
}
