/**
 * A problem with an Avro file. The function that knows the file's location makes it a
 * `MillraceError`. `damaged`: the bytes are no whole Avro file. `unsupported`: the file uses a part
 * of Avro that Iceberg does not use. `invalid`: the values are not those of a manifest.
 */
export class AvroFault extends Error {
  readonly kind: "damaged" | "unsupported" | "invalid";

  constructor(kind: AvroFault["kind"], problem: string) {
    super(problem);
    this.name = "AvroFault";
    this.kind = kind;
  }
}
