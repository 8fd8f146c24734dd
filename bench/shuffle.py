"""
PySpark's side of bench/shuffle.ts: `repartition(n, "p")` of rows that Spark makes itself, written to
the sink `noop`. It reads a number of rows from each line of its input, and prints the seconds, and those
of processor time.
"""

import os
import sys
import time

from pyspark.sql import SparkSession

partitions = int(sys.argv[1])
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.driver.memory", "2g")
    .config("spark.ui.enabled", "false")
    .config("spark.ui.showConsoleProgress", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.local.dir", sys.argv[2])
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")


def processor_seconds():
    """The processor time of the JVM so far, from Linux's /proc."""
    with open(f"/proc/{spark.sparkContext._gateway.proc.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


print(spark.version, flush=True)
for line in sys.stdin:
    rows = int(line)
    begin = time.perf_counter()
    cpu = processor_seconds()
    frame = spark.range(0, rows, 1, 2).selectExpr(
        "id",
        "cast(id * 7919 % 10007 as int) as p",
        "id / 7d as v",
        "timestamp_micros(1767225600000000 + id * 137) as time",
        "concat('station ', id % 1000) as s",
    )
    frame.repartition(partitions, "p").write.format("noop").mode("overwrite").save()
    seconds = time.perf_counter() - begin
    print(seconds, processor_seconds() - cpu, flush=True)
