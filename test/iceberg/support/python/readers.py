"""Reads and writes Iceberg tables by pyiceberg and by DuckDB, for test/iceberg/support/readers.ts."""

import glob
import json
import sysconfig

import duckdb
import pyarrow as pa
from lines import rows, serve, table
from pyiceberg.catalog import load_catalog
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import schema_to_pyarrow

catalogs = {}


def catalog_of(catalog):
    key = json.dumps(catalog, sort_keys=True)
    if key not in catalogs:
        catalogs[key] = load_catalog(catalog["name"], **catalog["properties"])
    return catalogs[key]


def load(catalog, name):
    return catalog_of(catalog).load_table(name)


def scan(catalog, name, filter=None, snapshot=None, columns=None):
    return load(catalog, name).scan(
        row_filter=AlwaysTrue() if filter is None else filter,
        snapshot_id=None if snapshot is None else int(snapshot),
        selected_fields=("*",) if columns is None else tuple(columns),
    )


def read(**request):
    return rows(scan(**request).to_arrow())


def plan(**request):
    """The data files that a filter touches."""
    return [
        {
            "path": task.file.file_path,
            "rows": task.file.record_count,
            "deletes": sorted(file.file_path for file in task.delete_files),
        }
        for task in scan(**request).plan_files()
    ]


def text(value):
    return value.hex() if isinstance(value, bytes) else None if value is None else str(value)


def files(catalog, name):
    """The data files of the current snapshot, with their statistics by field id, as hex."""
    found = []
    t = load(catalog, name)
    for task in t.scan().plan_files():
        file = task.file
        partition = t.specs()[file.spec_id].fields
        found.append(
            {
                "path": file.file_path,
                "rows": file.record_count,
                "bytes": file.file_size_in_bytes,
                "partition": {f.name: text(file.partition[i]) for i, f in enumerate(partition)},
                "lower": {str(k): v.hex() for k, v in (file.lower_bounds or {}).items()},
                "upper": {str(k): v.hex() for k, v in (file.upper_bounds or {}).items()},
                "nulls": {str(k): v for k, v in (file.null_value_counts or {}).items()},
                "values": {str(k): v for k, v in (file.value_counts or {}).items()},
                "splits": file.split_offsets or [],
            }
        )
    return found


def describe(catalog, name):
    t = load(catalog, name)
    head = t.current_snapshot()
    return {
        "metadata": t.metadata_location,
        "location": t.location(),
        "uuid": str(t.metadata.table_uuid),
        "properties": dict(t.properties),
        "schema": json.loads(t.schema().model_dump_json()),
        "head": None if head is None else str(head.snapshot_id),
        "snapshots": [
            {
                "id": str(s.snapshot_id),
                "parent": None if s.parent_snapshot_id is None else str(s.parent_snapshot_id),
                "sequence": s.sequence_number,
                "operation": s.summary.operation.value,
                "summary": dict(s.summary.additional_properties),
            }
            for s in t.snapshots()
        ],
    }


def append(catalog, name, data):
    """Appends rows. Their columns are cast to the table's types."""
    t = load(catalog, name)
    given = table(data)
    fields = schema_to_pyarrow(t.schema(), include_field_ids=False)
    target = pa.schema([field for field in fields if field.name in given.column_names])
    t.append(given.select(target.names).cast(target))


def delete(catalog, name, filter):
    """Deletes rows by writing their files again."""
    load(catalog, name).delete(filter)


def expire(catalog, name, snapshots):
    load(catalog, name).maintenance.expire_snapshots().by_ids([int(s) for s in snapshots]).commit()


def roll_back(catalog, name, snapshot):
    load(catalog, name).manage_snapshots().set_current_snapshot(int(snapshot)).commit()


def create(catalog, name, data, properties):
    """Creates a table with the columns of an Arrow table, as other programs do."""
    c = catalog_of(catalog)
    c.create_namespace_if_not_exists(name.rsplit(".", 1)[0])
    c.create_table(name, table(data).schema, properties=properties)


def connect():
    connection = duckdb.connect(config={"allow_unsigned_extensions": True})
    packages = sysconfig.get_path("purelib")
    for name in ("avro", "httpfs", "iceberg"):
        pattern = f"{packages}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension"
        connection.execute(f"LOAD '{glob.glob(pattern)[0]}'")
    connection.execute("SET timezone = 'UTC'")
    return connection


connections = {}


def sql(statements, setup):
    """Runs statements of DuckDB, after `setup` in a new connection. Returns the last one's rows."""
    key = "\n".join(setup)
    if key not in connections:
        connections[key] = connect()
        for statement in setup:
            connections[key].execute(statement)
    for statement in statements:
        result = connections[key].execute(statement)
    return rows(result.to_arrow_table()) if result.description else None


serve(
    {
        "read": read,
        "plan": plan,
        "files": files,
        "describe": describe,
        "append": append,
        "delete": delete,
        "expire": expire,
        "roll back": roll_back,
        "create": create,
        "sql": sql,
    }
)
