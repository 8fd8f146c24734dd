"""The other side of bench/iceberg.ts: writes the same rows by dlt, pyiceberg, pyarrow and DuckDB.

Arguments: a folder, the number of rows, and the number of rows in record batches. The process stays
warm between its rounds. It answers {"do": way, "round": n} with {"seconds": …, "path": …}.
"""

import datetime
import glob
import os
import sys
import sysconfig
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../test/iceberg/support/python"))

FOLDER, ROWS, BATCH_ROWS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.environ["DLT_DATA_DIR"] = f"{FOLDER}/dlt-data"
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"

import dlt
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from lines import serve
from pyiceberg.catalog import load_catalog

START = 1_767_225_600
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("mag", pa.float64()),
        ("place", pa.string()),
        ("felt", pa.int32()),
    ]
)
BATCHES = f"{FOLDER}/batches.arrow"


def row(i):
    """A row equal to those of bench/iceberg.ts."""
    return {
        "id": i,
        "time": datetime.datetime.fromtimestamp(START + i, datetime.timezone.utc),
        "mag": (i % 1000) / 100,
        "place": f"{i % 997} km N of station {i % 89}",
        "felt": None if i % 4 == 0 else i % 500,
    }


def objects():
    return (row(i) for i in range(ROWS))


def connect():
    connection = duckdb.connect(config={"allow_unsigned_extensions": True})
    packages = sysconfig.get_path("purelib")
    for name in ("avro", "httpfs", "iceberg"):
        pattern = f"{packages}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension"
        connection.execute(f"LOAD '{glob.glob(pattern)[0]}'")
    connection.execute("SET threads = 1; SET timezone = 'UTC'")
    return connection


connection = connect()
catalog = load_catalog(
    "bench", type="sql", uri=f"sqlite:///{FOLDER}/pyiceberg.db", warehouse=f"file://{FOLDER}/pyiceberg"
)
catalog.create_namespace_if_not_exists("bench")


def prepare():
    """Writes the record batches that both sides take."""
    made = connection.execute(
        f"""SELECT i AS id, {START}::BIGINT * 1000000 + i * 1000000 AS time, (i % 1000) / 100 AS mag,
        (i % 997) || ' km N of station ' || (i % 89) AS place,
        CASE WHEN i % 4 = 0 THEN NULL ELSE (i % 500)::INT END AS felt FROM range({BATCH_ROWS}) t(i)"""
    ).to_arrow_table(100_000)
    table = pa.table([made[f.name].cast(f.type) for f in SCHEMA], schema=SCHEMA)
    with pa.ipc.new_file(BATCHES, SCHEMA) as writer:
        writer.write_table(table, 100_000)


def batches():
    with pa.ipc.open_file(BATCHES) as reader:
        return reader.read_all()


def synced(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def by_dlt(path):
    columns = {"id": "bigint", "time": "timestamp", "mag": "double", "place": "text", "felt": "bigint"}
    resource = dlt.resource(
        objects,
        name="rows",
        table_format="iceberg",
        write_disposition="append",
        columns={name: {"data_type": type} for name, type in columns.items()},
    )
    pipeline = dlt.pipeline(
        os.path.basename(path),
        destination=dlt.destinations.filesystem(f"file://{path}"),
        dataset_name="bench",
        pipelines_dir=f"{path}-state",
    )
    pipeline.run(resource())
    return sorted(glob.glob(f"{path}/bench/rows/metadata/*.metadata.json"))[-1]


def append(path, table):
    made = catalog.create_table(
        f"bench.{os.path.basename(path)}",
        schema=SCHEMA,
        properties={"write.parquet.compression-codec": "zstd"},
    )
    made.append(table)
    return made.metadata_location


def by_pyarrow(path, table):
    pq.write_table(table, f"{path}.parquet", compression="zstd")
    synced(f"{path}.parquet")
    return f"{path}.parquet"


def by_duckdb(path, table):
    connection.register("given", table)
    connection.execute(f"COPY given TO '{path}.parquet' (FORMAT parquet, COMPRESSION zstd)")
    synced(f"{path}.parquet")
    return f"{path}.parquet"


WAYS = {
    "rows dlt": lambda path: by_dlt(path),
    "rows pyiceberg": lambda path: append(path, pa.Table.from_pylist(list(objects()), SCHEMA)),
    "rows pyarrow": lambda path: by_pyarrow(path, pa.Table.from_pylist(list(objects()), SCHEMA)),
    "batches duckdb": lambda path: by_duckdb(path, loaded()),
    "batches pyiceberg": lambda path: append(path, loaded()),
    "batches pyarrow": lambda path: by_pyarrow(path, loaded()),
}
held = []


def loaded():
    if not held:
        held.append(batches())
    return held[0]


def write(way, round):
    path = f"{FOLDER}/{way.replace(' ', '_')}_{round}"
    if way.startswith("batches"):
        loaded()
    begin = time.perf_counter()
    result = WAYS[way](path)
    return {"seconds": time.perf_counter() - begin, "path": result}


def summary(path):
    """What must be equal in all outputs."""
    source = f"'{path}'" if path.endswith(".parquet") else f"iceberg_scan('{path.removeprefix('file://')}')"
    query = "count(*), sum(id), sum(mag), min(time), max(time), sum(felt), count(felt), sum(length(place))"
    return [str(value) for value in connection.execute(f"SELECT {query} FROM {source}").fetchone()]


serve({"prepare": prepare, "write": write, "summary": summary})
