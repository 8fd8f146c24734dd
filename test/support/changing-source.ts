import { DataSource } from "../../shared/contract/data-source.ts";
import { DataSourceStreamReader, type NamedRow } from "../../shared/contract/stream-reader.ts";

/** What a source of numbered rows has at present. */
export interface Now {
  /** Number of rows. */
  readonly count: number;
  readonly schema: string;
  row(n: number): NamedRow;
  /** Makes its tasks fail after their rows. */
  readonly fails?: boolean;
}

/** Returns a data source whose rows and columns are as `now` says. A later one goes on after it. */
export function sourceOf(now: Now): new () => DataSource {
  class Reader extends DataSourceStreamReader<{ n: number }, { from: number; to: number }> {
    override initialOffset = () => ({ n: 0 });
    override latestOffset = () => ({ n: now.count });
    override partitions = ({ n: from }: { n: number }, { n: to }: { n: number }) => [{ from, to }];
    override *read({ from, to }: { from: number; to: number }) {
      for (let n = from; n < to; n++) yield now.row(n);
      if (now.fails) throw new Error("the source is ill");
    }
  }
  class Numbers extends DataSource {
    override schema = () => now.schema;
    override streamReader = () => new Reader();
  }
  return Numbers as unknown as new () => DataSource;
}
