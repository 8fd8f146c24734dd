import type { ErrorMeaning } from "./meaning.ts";

/** Codes of the connector `dynamodb`. */
export const DYNAMODB = {
  DYNAMODB_FAILED: {
    means: "DynamoDB did not take an item",
    do: "by its own message: table, keys, rights",
    again: "where it may pass",
  },
  TRANSACTION_REFUSED: {
    means: "DynamoDB did not take a sink's items into the ledger's transaction; nothing was written",
    do: "by DynamoDB's message: table, keys, rights; the batch was aborted, and the next run replays it",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of the connector `files`. */
export const FILES = {
  COLUMN_MISSING: {
    means: "a column of the schema is not in the file; the message has the columns that are",
    do: 'correct the schema, or set `missingColumns: "null"`',
    again: "no",
  },
  COLUMN_TYPE_MISMATCH: {
    means:
      "a column of the file has another type than the schema says; the message has the column and both types",
    do: "write the file's type in the schema, which the hint has",
    again: "no",
  },
  FILE_CHANGED: {
    means: "a file is gone, or another than was planned or read",
    do: "put it back, give it another name, or see [files](files.md#a-file-that-changes)",
    again: "no",
  },
  FILE_FEATURE_NOT_SUPPORTED: {
    means:
      "a file is valid, but uses a feature that is not supported, such as encryption or a codec; the message has the feature",
    do: "write the file without it, or leave the column out of the schema",
    again: "no",
  },
  FILE_MALFORMED: {
    means:
      "a file cannot be read as what it should be; the message has the file, and the line where there is one",
    do: "take it away, set `ignoreMissingFiles: true`, put it back corrected under another name",
    again: "no",
  },
  FILE_UNREADABLE: {
    means:
      "an entry of the folder cannot be read: a symbolic link, a socket, a name that is not UTF-8, a compression that is not supported, a time in the future",
    do: "rename, replace or move it, exclude it by `pattern`, or set `ignoreUnreadable: true`",
    again: "no",
  },
  FOLDER_COLUMN_INVALID: {
    means: "a folder `name=value` is no column of the schema, or its name cannot be read",
    do: 'add the column to `.schema(…)`, or set `folderColumns: "ignore"`',
    again: "no",
  },
  FOLDER_MISSING: {
    means: "the folder is not there, or no object has the prefix in S3",
    do: "correct `path`, mount the drive, make the folder, or set `ignoreMissingPath: true`",
    again: "no",
  },
  SEEN_FILES_MISSING: {
    means: "the record of the files that were read, which the offset names, is gone",
    do: "rewind to one of the last 1,000 batches, or restore it",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of the connectors `kinesis` and `sqs`. */
export const KINESIS_AND_SQS = {
  KINESIS_DATA_EXPIRED: {
    means:
      "records expired before they were read, or the stream was made anew; the message has the shard and the range",
    do: "run more often, lengthen the retention; go on with what is left: [`failOnDataLoss`](kinesis.md#records-that-expired)",
    again: "no",
  },
  KINESIS_FAILED: {
    means: "a request to the stream failed; the message has the request and what AWS said",
    do: "check name, region, credentials and [rights](kinesis.md#on-aws)",
    again: "where it may pass",
  },
  KINESIS_RECORD_AGGREGATED: {
    means: "the Kinesis Producer Library put many records into one",
    do: 'turn its aggregation off, or read `format: "raw"`',
    again: "no",
  },
  KINESIS_STREAM_REPLACED: {
    means: "the stream was deleted and made anew under its name; what it still had may be lost",
    do: "`millrace rewind PIPELINE --to-start` reads the new one",
    again: "no",
  },
  RECORD_NOT_JSON: {
    means: "a record or message is no JSON object, or has a name twice; the message has its place",
    do: 'correct what writes it, or read `format: "raw"`',
    again: "no",
  },
  SQS_FAILED: {
    means: "a request to the queue failed; the message has the request and what AWS said",
    do: "check URL, region, credentials and [rights](sqs.md#on-aws)",
    again: "where it may pass",
  },
  SQS_QUEUE_REPLACED: {
    means: "the queue was deleted and made anew under its URL; messages that it had are lost",
    do: "`millrace rewind PIPELINE --to-start` reads the new one",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of the connector `memory`. */
export const MEMORY = {
  MEMORY_NOT_HERE: {
    means:
      "a memory stream, its rows, or rows that were staged are in another thread, process or machine, or in none",
    do: "run the pipeline in one thread: [memory](memory.md)",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of the connector `postgres`. */
export const POSTGRES = {
  POSTGRES_CURSOR_UNSAFE: {
    means: "the stream would lose rows: its cursor column, sequence or server tells no order",
    do: "as it says, or name another `cursorColumn`",
    again: "no",
  },
  POSTGRES_FAILED: {
    means: "the server refused a statement, or the connection failed; the message has the SQLSTATE",
    do: "by SQLSTATE: rights, columns, values, or ask who runs it",
    again: "lost connections, deadlocks, failed serialisations, a full or starting server",
  },
  POSTGRES_TABLE_RESET: {
    means:
      "the table seems to have begun anew: emptied, made again, restored, its sequence restarted, or its last rows are gone; new rows may lie before the offset",
    do: "`millrace rewind PIPELINE --to-start`, or [`failOnReset: false`](postgres.md#a-table-that-began-anew)",
    again: "no",
  },
  STAGED_FILE_MISSING: {
    means:
      "rows that were staged are gone or damaged; the error names the file, its size and the one expected, and nothing was written",
    do: "run again: the next run writes the rows again; find out who changes the file that the error names",
    again: "next run",
  },
  POSTGRES_TABLE_MISMATCH: {
    means: "there is no such table or column, or one that cannot be what the options say",
    do: "correct the options, or the table",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of the connector `rest-api`. */
export const REST_API = {
  HTTP_STATUS: {
    means: "the API answered this status; of a sink, to which rows",
    do: "by status: credentials, options, or ask who runs it; what it said is on the terminal of the run and in its log",
    again:
      "408, 425, 429, 5xx except 501, 505, 506, 510 and 511, and 403 at a limit; of a sink also 409, and [without a key](rest-api.md#when-rows-are-sent-and-what-is-guaranteed) only 425, 429 and 403 at a limit",
  },
  HTTP_FAILED: {
    means: "no whole answer",
    do: "check that the API is up",
    again: "yes; of a sink without a key only where nothing was sent",
  },
  HTTP_NOT_JSON: {
    means: "the body is not JSON, or an object in it has a name twice; the message says where",
    do: "check `url`",
    again: "no",
  },
  HTTP_NOT_TEXT: {
    means:
      "the body is not in its charset (that of `Content-Type`, else UTF-8), or the charset is unknown; the message has the position of the first wrong byte",
    do: "correct the API, or set `charset`",
    again: "no",
  },
  PATH_AMBIGUOUS: {
    means: "a path with dots leads to two values: the dots are part of a name, and they also separate names",
    do: 'write the path as an array: `["user.id"]` or `["user", "id"]`',
    again: "no",
  },
  ACCESS_TOKEN_FAILED: {
    means: "the token endpoint of `oauth2` gave no token",
    do: "check the client id, its secret and the scope; the answer is on the terminal of the run and in its log",
    again: "408, 425, 429, 5xx as above, and a broken connection",
  },
  ROWS_NOT_FOUND: {
    means: "there is no array at `rows`",
    do: "set `rows`, or `missingRows`",
    again: "no",
  },
  PAGES_LOOP: {
    means: "the pages lead back to one before, or a page has the rows of one before",
    do: "check `pagination`, such as the names of its parameters and `endOn`",
    again: "no",
  },
  LIST_END_UNCLEAR: {
    means: "an answer does not say whether the list goes on, or contradicts itself",
    do: "set `endOn`, or correct the paths in `pagination`",
    again: "if the list may have changed while it was read",
  },
  LIST_MOVED: {
    means: "a list changed while it was read, so rows may be missing or doubled",
    do: "read it in an order that only grows at its end, or by `timeRange`",
    again: "yes",
  },
  ANSWER_HAS_ERRORS: {
    means: "the API answered 200 with errors, such as those of GraphQL",
    do: "correct the request, or set `errorsPath`",
    again: "yes",
  },
  RESPONSE_TOO_LARGE: {
    means: "a response is larger than `maxResponseBytes`, after decompression",
    do: "ask for smaller pages, or raise `maxResponseBytes`",
    again: "no",
  },
  LINK_TO_OTHER_ORIGIN: {
    means: "a link, a redirect or a stored page leads to another server; nothing was sent there",
    do: "set `url` to the one that serves the pages",
    again: "no",
  },
  LIST_SHRANK: {
    means: "a page, or the list, has fewer rows than planned",
    do: "the list must only grow at its end; or use `timeRange`",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of secrets, which options name as `{ env: "NAME" }`. */
export const SECRETS = {
  SECRET_MISSING: {
    means: "the environment variable that holds a secret is not set",
    do: "set it",
    again: "no",
  },
  SECRET_INVALID: {
    means: "the environment variable is set, but cannot be sent, or is no URL of a server",
    do: "correct it",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;
