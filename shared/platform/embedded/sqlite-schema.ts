/**
 * The first version. Only fields that SQL statements compare have columns of their own types;
 * offsets, leases and similar values are JSON.
 */
const FIRST = `
CREATE TABLE heads (
  pipeline TEXT PRIMARY KEY,
  incarnation TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  lease TEXT,
  lease_owner TEXT,
  lease_expires_at INTEGER,
  next_batch_id INTEGER NOT NULL,
  start_offset TEXT,
  last_committed_batch_id INTEGER,
  open_batch_id INTEGER,
  unacknowledged TEXT,
  last_commit TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE batches (
  pipeline TEXT NOT NULL,
  batch_id INTEGER NOT NULL,
  incarnation TEXT NOT NULL,
  start_offset TEXT NOT NULL,
  end_offset TEXT NOT NULL,
  partitions_key TEXT NOT NULL,
  tasks INTEGER NOT NULL,
  schema TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL,
  last_tried_attempt INTEGER NOT NULL,
  planned_at INTEGER NOT NULL,
  first_planned_at INTEGER NOT NULL,
  finished_at INTEGER,
  progress TEXT,
  error TEXT,
  PRIMARY KEY (pipeline, batch_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE tasks (
  pipeline TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  batch_id INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  task TEXT NOT NULL,
  PRIMARY KEY (pipeline, incarnation, batch_id, attempt, partition)
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_by_time ON tasks (recorded_at);
`;

const OPERATING = `
ALTER TABLE heads ADD COLUMN paused TEXT;
CREATE TABLE journal (
  id INTEGER PRIMARY KEY,
  pipeline TEXT NOT NULL,
  entry TEXT NOT NULL
) STRICT;
CREATE INDEX journal_by_pipeline ON journal (pipeline, id);
`;

const PROGRESS = `
ALTER TABLE heads ADD COLUMN last_planned_at INTEGER;
ALTER TABLE batches ADD COLUMN latest_offset TEXT;
CREATE TABLE task_progress (
  pipeline TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  batch_id INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  reported_at INTEGER NOT NULL,
  running TEXT NOT NULL,
  PRIMARY KEY (pipeline, incarnation, batch_id, attempt, partition)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_progress_by_time ON task_progress (reported_at);
`;

const CONTENT = `
ALTER TABLE heads ADD COLUMN former_incarnations TEXT;
ALTER TABLE heads ADD COLUMN identity TEXT;
ALTER TABLE heads ADD COLUMN last_in_sink TEXT;
ALTER TABLE heads ADD COLUMN is_sink_unchecked INTEGER;
ALTER TABLE batches ADD COLUMN plan_id TEXT;
ALTER TABLE batches ADD COLUMN code TEXT;
ALTER TABLE batches ADD COLUMN skipped TEXT;
`;

/**
 * Changes no table. A commit message may name several staged files, which an older version would
 * take for a task without rows, so it must not open the file.
 */
const FILES = "SELECT 1";

const WRITES = `
ALTER TABLE batches ADD COLUMN table_write TEXT;
CREATE TABLE commit_claims (
  pipeline TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  batch_id INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  claim TEXT NOT NULL,
  PRIMARY KEY (pipeline, incarnation, batch_id, attempt, partition)
) STRICT, WITHOUT ROWID;
`;

/** A table of tasks cannot get another primary key, so each of them is made anew. */
const EXCHANGES = `
ALTER TABLE batches ADD COLUMN exchanges TEXT;
${withStages("tasks", "recorded_at INTEGER NOT NULL, task TEXT NOT NULL")}
CREATE INDEX tasks_by_time ON tasks (recorded_at);
${withStages("task_progress", "reported_at INTEGER NOT NULL, running TEXT NOT NULL")}
CREATE INDEX task_progress_by_time ON task_progress (reported_at);
${withStages("commit_claims", "expires_at INTEGER NOT NULL, claim TEXT NOT NULL")}
`;

const QUARANTINE = `
ALTER TABLE heads ADD COLUMN quarantined_rows INTEGER;
ALTER TABLE heads ADD COLUMN last_retry_batch_id INTEGER;
ALTER TABLE batches ADD COLUMN is_retry INTEGER;
`;
const LASTING_FAILURES = "ALTER TABLE batches ADD COLUMN lasting_failures INTEGER";
const RUNS = `
ALTER TABLE heads ADD COLUMN last_idle_at INTEGER;
ALTER TABLE heads ADD COLUMN plan_failure TEXT;
`;

const BACKFILLS = `
ALTER TABLE heads ADD COLUMN backfills TEXT;
ALTER TABLE batches ADD COLUMN read_range TEXT;
`;

/** Returns the SQL that adds the stage to the key of a table. It is -1 for tasks that write. */
function withStages(table: string, columns: string): string {
  const names = columns.replaceAll(/ (?:INTEGER|TEXT) NOT NULL/g, "");
  const key = "pipeline, incarnation, batch_id, attempt";
  return `
ALTER TABLE ${table} RENAME TO ${table}_before;
CREATE TABLE ${table} (
  pipeline TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  batch_id INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  stage INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  ${columns},
  PRIMARY KEY (${key}, stage, partition)
) STRICT, WITHOUT ROWID;
INSERT INTO ${table} (${key}, stage, partition, ${names})
  SELECT ${key}, -1, partition, ${names} FROM ${table}_before;
DROP TABLE ${table}_before;
`;
}

/**
 * Each migration leads from the version with its index to the next. Opening a file runs all
 * migrations that it lacks. Never change or remove one, only add new ones.
 */
export const MIGRATIONS: readonly string[] = [
  FIRST,
  OPERATING,
  PROGRESS,
  CONTENT,
  FILES,
  WRITES,
  EXCHANGES,
  QUARANTINE,
  LASTING_FAILURES,
  RUNS,
  BACKFILLS,
];
