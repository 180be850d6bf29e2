-- kind: transaction
-- phase: before

-- With any_end a child waits for its parents' ends, whatever they are, and not for their success.
ALTER TABLE dependencies ADD COLUMN any_end INTEGER NOT NULL DEFAULT 0 CHECK (any_end IN (0, 1));

-- To look at a small queue beside a large one; and at what ended last.
CREATE INDEX jobs_by_queue ON jobs (queue, seq);
CREATE INDEX attempts_by_end ON attempts (finished_at) WHERE finished_at IS NOT NULL;

-- Which numbers an import has given, and the latest time of its jobs: their times may be of long before.
CREATE TABLE imports (
    first_seq INTEGER PRIMARY KEY,
    last_seq  INTEGER NOT NULL CHECK (last_seq >= first_seq),
    latest_at INTEGER NOT NULL
) STRICT;

-- next_at is the tick to come, NULL when there is none: whoever moves it on enqueues its job.
CREATE TABLE schedules (
    name       TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 200),
    cron       TEXT NOT NULL,
    timezone   TEXT NOT NULL,
    overlap    TEXT NOT NULL CHECK (overlap IN ('allow', 'skip')),
    catch_up   TEXT NOT NULL CHECK (catch_up IN ('none', 'last')),
    spec       TEXT NOT NULL CHECK (json_valid(spec)),
    created_at INTEGER NOT NULL,
    paused_at  INTEGER,
    paused_by  TEXT,
    next_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX schedules_due ON schedules (next_at) WHERE paused_at IS NULL;

-- What became of a tick: its job, or the reason why there is none.
CREATE TABLE ticks (
    schedule TEXT NOT NULL REFERENCES schedules (name) ON DELETE CASCADE,
    tick_at  INTEGER NOT NULL,
    seq      INTEGER,
    job_id   TEXT,
    skipped  TEXT,
    PRIMARY KEY (schedule, tick_at),
    CHECK ((job_id IS NULL) <> (skipped IS NULL))
) STRICT, WITHOUT ROWID;
