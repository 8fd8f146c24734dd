/** Lines that read a metadata file with other programs. */
export interface ReaderLines {
  readonly duckdb: string;
  readonly pyiceberg: string;
}

/** Returns the lines that read a table by its metadata file, to be pasted. */
export function readersOf(metadataLocation: string): ReaderLines {
  const sql = metadataLocation.replaceAll("'", "''");
  const python = JSON.stringify(metadataLocation);
  return {
    duckdb: `INSTALL iceberg; LOAD iceberg;\nSELECT * FROM iceberg_scan('${sql}') LIMIT 10;`,
    pyiceberg: `from pyiceberg.table import StaticTable\nStaticTable.from_metadata(${python}).scan().to_arrow()`,
  };
}
