"""The other side of bench/iceberg.ts: writes the same rows by dlt, pyiceberg, pyarrow and DuckDB.

Arguments: a folder, the number of rows, and the number of rows in record batches. The process stays
warm between its rounds.
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
UNIQUE = pa.schema(
    [
        ("id", pa.int64()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("mag", pa.float64()),
        ("price", pa.decimal128(12, 2)),
        ("code", pa.string()),
    ]
)
TIME = f"{START}::BIGINT * 1000000 + i * 1000000 AS time"
# Record batches with nearly unique values, and with values that repeat.
SETS = {
    "unique": (
        UNIQUE,
        f"""i AS id, {TIME}, (hash(i) % 2147483647)::BIGINT / 7919 AS mag,
        ((hash(i) % 100000000)::DECIMAL(12, 2) / 100)::DECIMAL(12, 2) AS price,
        'user-' || lpad((hash(i) % 9999999)::VARCHAR, 7, '0') AS code""",
    ),
    "repeating": (
        SCHEMA,
        f"""i AS id, {TIME}, (i % 1000) / 100 AS mag,
        (i % 997) || ' km N of station ' || (i % 89) AS place,
        CASE WHEN i % 4 = 0 THEN NULL ELSE (i % 500)::INT END AS felt""",
    ),
}


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
    for name, (schema, columns) in SETS.items():
        query = f"SELECT {columns} FROM range({BATCH_ROWS}) t(i)"
        made = connection.execute(query).to_arrow_table(100_000)
        table = pa.table([made[f.name].cast(f.type) for f in schema], schema=schema)
        with pa.ipc.new_file(f"{FOLDER}/{name}.arrow", schema) as writer:
            writer.write_table(table, 100_000)


held = {}


def batches(name):
    """Returns record batches in memory."""
    if name not in held:
        held.clear()
        with pa.ipc.open_file(f"{FOLDER}/{name}.arrow") as reader:
            held[name] = reader.read_all()
    return held[name]


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
        schema=table.schema,
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


def write(way, data, round):
    path = f"{FOLDER}/{way}_{data}_{round}"
    given = None if data == "rows" else batches(data)
    begin = time.perf_counter()
    if way == "dlt":
        result = by_dlt(path)
    else:
        table = pa.Table.from_pylist(list(objects()), SCHEMA) if given is None else given
        result = {"pyiceberg": append, "pyarrow": by_pyarrow, "duckdb": by_duckdb}[way](path, table)
    return {"seconds": time.perf_counter() - begin, "path": result}


def summary(path):
    """Returns what must be equal in all outputs."""
    source = f"'{path}'" if path.endswith(".parquet") else f"iceberg_scan('{path.removeprefix('file://')}')"
    columns = [name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    # dlt has its own column types, so the values are compared as text.
    texts = [f"sum(hash({name}::VARCHAR))" for name in columns if not name.startswith("_dlt")]
    query = f"SELECT count(*), {', '.join(texts)} FROM {source}"
    return [str(value) for value in connection.execute(query).fetchone()]


serve({"prepare": prepare, "write": write, "summary": summary})
