"""Runs SQL of Spark on Iceberg tables, for test/iceberg/support/readers.ts. Arguments: the jars."""

import sys

from lines import rows, serve
from pyspark.sql import SparkSession

base = (
    SparkSession.builder.master("local[1]")
    .config("spark.jars", ",".join(sys.argv[1:]))
    .config("spark.driver.memory", "1g")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .config("spark.ui.showConsoleProgress", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.shuffle.partitions", "1")
    .config(
        "spark.sql.extensions",
        "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    )
    .getOrCreate()
)
base.sparkContext.setLogLevel("ERROR")
sessions = {}


def sql(catalog, statements):
    """Runs statements, of which `millrace` is the catalog. Returns the rows of the last one."""
    key = repr(catalog)
    if key not in sessions:
        # Each session has catalogs of its own, so several warehouses can have the same name.
        session = base.newSession()
        prefix = f"spark.sql.catalog.{catalog['name']}"
        session.conf.set(prefix, "org.apache.iceberg.spark.SparkCatalog")
        session.conf.set(f"{prefix}.cache-enabled", "false")
        for name, value in catalog["properties"].items():
            session.conf.set(f"{prefix}.{name}", value)
        sessions[key] = session
    for statement in statements:
        result = sessions[key].sql(statement)
    return rows(result.toArrow())


serve({"sql": sql})
