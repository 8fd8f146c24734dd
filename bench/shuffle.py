"""
PySpark's side of bench/shuffle.ts: `repartition(n, "p")` of rows that Spark makes itself, written to
the sink `noop`. It reads a number of rows from each line of its input, and prints the seconds.
"""

import sys
import time

from pyspark.sql import SparkSession

partitions = int(sys.argv[1])
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.driver.memory", "2g")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.local.dir", sys.argv[2])
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
print("ready", spark.version, flush=True)
for line in sys.stdin:
    rows = int(line)
    begin = time.perf_counter()
    frame = spark.range(0, rows, 1, 2).selectExpr(
        "id",
        "cast(id * 7919 % 10007 as int) as p",
        "id / 7d as v",
        "timestamp_micros(1767225600000000 + id * 137) as time",
        "concat('station ', id % 1000) as s",
    )
    frame.repartition(partitions, "p").write.format("noop").mode("overwrite").save()
    print(time.perf_counter() - begin, flush=True)
