"""Answers requests, one JSON object per line: {"do": operation, …} answers {"value": …} or
{"error": …}. Tables of rows travel as Arrow IPC streams in base64, which keeps every value exact.
"""

import base64
import json
import os
import sys

import pyarrow as pa


def serve(operations):
    # Libraries may print to stdout, so the answers have a file of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"value": operations[request.pop("do")](**request)}
        except Exception as error:  # The caller decides which errors are expected.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def rows(table):
    """Encodes an Arrow table."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return base64.b64encode(sink.getvalue()).decode()


def table(text):
    """Decodes an Arrow table."""
    with pa.ipc.open_stream(base64.b64decode(text)) as reader:
        return reader.read_all()
