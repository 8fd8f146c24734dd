"""The other side of bench/rows.ts: writes rows as tuples to an Arrow IPC file, as PySpark 4.3 takes
them from a data source's `read`.

With pyarrow alone, it does the same work for each row and value as `records_to_arrow_batches` of
pyspark/sql/worker/plan_data_source_read.py and the converters of
`LocalDataToArrowConversion._create_converter` of pyspark/sql/conversion.py. It leaves out PySpark's
later work on the record batches (a socket to the JVM) and writes them to a file, as Millrace does.

It reads one JSON command per line: {"write": path, "rows": n} answers {"seconds": …, "cpu": …};
{"compare": [path, …]} answers {"rows": n}, or fails.
"""

import datetime
import json
import sys
import time
from itertools import islice

import pyarrow as pa

MAX_RECORDS_PER_BATCH = 10_000
START_MS = 1_767_225_600_000
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC")),
        pa.field("mag", pa.float64()),
        pa.field("place", pa.string()),
        pa.field("felt", pa.int32()),
    ]
)


def read(rows):
    """Yields rows equal to those of bench/rows.ts."""
    for i in range(rows):
        yield (
            i,
            datetime.datetime.fromtimestamp((START_MS + i * 137) / 1000, datetime.timezone.utc),
            (i % 1000) / 100,
            f"{i % 997} km N of station {i % 89}",
            None if i % 4 == 0 else i % 500,
        )


def to_utc(value):
    if value is None:
        return None
    assert isinstance(value, datetime.datetime)
    return value.astimezone(datetime.timezone.utc)


def to_text(value):
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def converter_for(arrow_type):
    """Returns the converter of a column. It is called for each value, even if it changes none."""
    if pa.types.is_timestamp(arrow_type):
        return to_utc
    if pa.types.is_string(arrow_type):
        return to_text
    return lambda value: value


class Row(tuple):
    """A replacement for `pyspark.sql.Row`, because the worker checks the class of each row."""


def to_batches(rows):
    """Gathers and checks rows, converts each value to its column's type, and makes Arrow arrays."""
    width = len(SCHEMA)
    converters = [converter_for(field.type) for field in SCHEMA]
    while chunk := list(islice(rows, MAX_RECORDS_PER_BATCH)):
        columns = [[] for _ in range(width)]
        for row in chunk:
            if hasattr(row, "__len__") and len(row) != width:
                raise ValueError("a row of another length")
            if not isinstance(row, (list, tuple)):
                raise TypeError("no row")
            if isinstance(row, Row) and hasattr(row, "__fields__"):
                raise TypeError("rows by name are not measured here")
            for i in range(width):
                columns[i].append(converters[i](row[i]))
        yield pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def write(path, rows):
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        for batch in to_batches(read(rows)):
            writer.write_batch(batch)


def read_table(path):
    with pa.ipc.open_file(path) as file:
        table = file.read_all()
    table.validate(full=True)
    return table


def compare(paths):
    first, *others = map(read_table, paths)
    for path, other in zip(paths[1:], others):
        if not other.equals(first, check_metadata=True):
            raise ValueError(f"{path} differs from {paths[0]}")
    return first.num_rows


for line in sys.stdin:
    command = json.loads(line)
    if "write" in command:
        begin, cpu = time.perf_counter(), time.process_time()
        write(command["write"], command["rows"])
        answer = {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu}
    else:
        answer = {"rows": compare(command["compare"])}
    print(json.dumps(answer), flush=True)
