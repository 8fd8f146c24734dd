"""The other side of bench/rows.ts: rows as tuples to an Arrow IPC file, the way PySpark 4.3 takes them from a data source's `read`.

Follows, with pyarrow alone: `records_to_arrow_batches` of pyspark/sql/worker/plan_data_source_read.py, and
`LocalDataToArrowConversion._create_converter` of pyspark/sql/conversion.py for the types of these columns. What PySpark does
with the record batches afterwards (a socket to the JVM) is left out; they go to a file, as ours do.

Reads one JSON command a line: {"write": path, "rows": n} answers {"seconds": …, "cpu": …}; {"compare": [path, …]} answers {"rows": n}, or fails.
"""

import datetime
import functools
import json
import sys
import time
from itertools import chain, islice

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
    """The same rows as those of bench/rows.ts."""
    for i in range(rows):
        yield (
            i,
            datetime.datetime.fromtimestamp((START_MS + i * 137) / 1000, datetime.timezone.utc),
            (i % 1000) / 100,
            f"{i % 997} km N of station {i % 89}",
            None if i % 4 == 0 else i % 500,
        )


def create_converter(arrow_type):
    """`LocalDataToArrowConversion._create_converter(dataType)`: a nullable one for each column, as the worker asks for them."""
    if pa.types.is_timestamp(arrow_type):

        def convert_timestamp(value):
            if value is None:
                return None
            else:
                assert isinstance(value, datetime.datetime)
                return value.astimezone(datetime.timezone.utc)

        return convert_timestamp
    if pa.types.is_string(arrow_type):

        def convert_string(value):
            if value is None:
                return None
            else:
                if isinstance(value, bool):
                    return str(value).lower()
                else:
                    return str(value)

        return convert_string
    return lambda value: value


class Row(tuple):
    """`pyspark.sql.Row`, which the worker looks for in each row."""


def records_to_arrow_batches(output_iter, max_arrow_batch_size):
    column_converters = [create_converter(field.type) for field in SCHEMA]
    num_cols = len(SCHEMA)
    first_element = next(output_iter)
    if isinstance(first_element, pa.RecordBatch):
        raise TypeError("not measured here")
    output_iter = chain([first_element], output_iter)

    def batched(iterator, n):
        return iter(functools.partial(lambda it: list(islice(it, n)), iterator), [])

    for batch in batched(output_iter, max_arrow_batch_size):
        pylist = [[] for _ in range(num_cols)]
        for result in batch:
            if hasattr(result, "__len__") and len(result) != num_cols:
                raise ValueError("DATA_SOURCE_RETURN_SCHEMA_MISMATCH")
            if not isinstance(result, (list, tuple)):
                raise TypeError("DATA_SOURCE_INVALID_RETURN_TYPE")
            if isinstance(result, Row) and hasattr(result, "__fields__"):
                raise TypeError("not measured here")
            else:
                for col in range(num_cols):
                    pylist[col].append(column_converters[col](result[col]))
        yield pa.RecordBatch.from_arrays(pylist, schema=SCHEMA)


def write(path, rows):
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        for batch in records_to_arrow_batches(read(rows), MAX_RECORDS_PER_BATCH):
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
