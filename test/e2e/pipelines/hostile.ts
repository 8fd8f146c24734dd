import { DataSource, DataSourceStreamReader, MillraceError, pipeline, type Row } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";

/** Column names, rows, offsets, partitions and errors hold sequences that control a terminal. */
const EVIL = "\u001b]0;owned\u0007\u009b2J\u202e\u2066\r";
const fails = process.env["HOSTILE_FAILS"];

class Reader extends DataSourceStreamReader<object, object> {
  override initialOffset() {
    return { [EVIL]: `0${EVIL}` };
  }

  override latestOffset() {
    return { [EVIL]: `1${EVIL}` };
  }

  override partitions() {
    return [{ [EVIL]: EVIL }];
  }

  override async *read(): AsyncGenerator<Row> {
    if (fails === "row") yield { [EVIL]: 7, s: { a: EVIL } } as unknown as Row;
    if (fails === "own") {
      throw MillraceError.from({
        code: `C${EVIL}`,
        message: `m${EVIL}`,
        hint: `h${EVIL}`,
        where: { path: EVIL, url: EVIL, field: EVIL },
        found: EVIL,
        cause: new Error(EVIL),
        retryable: true,
      });
    }
    yield { [EVIL]: EVIL, s: { a: EVIL } };
  }
}

class Hostile extends DataSource {
  override schema() {
    return `\`${EVIL}\` string, s struct<a: string>`;
  }

  override streamReader() {
    return new Reader() as never;
  }
}

export default pipeline("hostile")
  .readStream.format(Hostile)
  .writeStream.format(ArrowTable)
  .trigger({ once: true });
