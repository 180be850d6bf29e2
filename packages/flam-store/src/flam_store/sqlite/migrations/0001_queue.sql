-- kind: transaction
-- phase: before

CREATE TABLE jobs (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 200),
    state          TEXT NOT NULL CHECK (state IN (
                       'pending', 'blocked', 'processing', 'completed', 'failed', 'dead', 'cancelled')),
    ready          INTEGER CHECK (ready IN (0, 1)),
    queue          TEXT NOT NULL CHECK (length(queue) BETWEEN 1 AND 200),
    priority       INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN -2147483648 AND 2147483647),
    attempts       INTEGER NOT NULL DEFAULT 0,
    attempt        INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    run_at         INTEGER NOT NULL,
    max_retries    INTEGER NOT NULL CHECK (max_retries BETWEEN 0 AND 2147483647),
    backoff_base   REAL NOT NULL CHECK (backoff_base BETWEEN 0 AND 1e6),
    backoff_max    REAL NOT NULL CHECK (backoff_max BETWEEN 0 AND 3153600000.0),
    backoff_jitter REAL NOT NULL CHECK (backoff_jitter BETWEEN 0 AND 1),
    timeout_ms     INTEGER CHECK (timeout_ms > 0),
    unique_key     TEXT,
    command        TEXT,
    options        TEXT CHECK (options IS NULL OR json_valid(options)),
    CHECK ((ready IS NOT NULL) = (state IN ('pending', 'failed'))),
    CHECK (command IS NOT NULL OR options IS NOT NULL),
    CHECK (attempts BETWEEN 0 AND attempt)
) STRICT;

-- What may be claimed now, in the order of claiming; and what is due when.
CREATE INDEX jobs_ready   ON jobs (queue, priority DESC, seq) WHERE ready = 1;
CREATE INDEX jobs_due     ON jobs (ready, run_at) WHERE ready IS NOT NULL;
CREATE INDEX jobs_by_state ON jobs (state, seq);
CREATE UNIQUE INDEX jobs_unique_key ON jobs (unique_key)
    WHERE unique_key IS NOT NULL AND state NOT IN ('completed', 'dead', 'cancelled');

-- One row for every start. (seq, attempt) is the fence of whoever holds the job.
CREATE TABLE attempts (
    seq                 INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    attempt             INTEGER NOT NULL CHECK (attempt > 0),
    state               TEXT NOT NULL CHECK (state IN (
                            'running', 'completed', 'failed', 'timeout', 'crashed', 'cancelled', 'released')),
    worker              TEXT NOT NULL,
    due_at              INTEGER NOT NULL,
    started_at          INTEGER NOT NULL,
    finished_at         INTEGER,
    exit_code           INTEGER,
    signal              TEXT,
    cause               TEXT,
    error               TEXT,
    output_bytes        INTEGER,
    cancel_requested_at INTEGER,
    cancel_requested_by TEXT,
    PRIMARY KEY (seq, attempt),
    CHECK ((finished_at IS NULL) = (state = 'running'))
) STRICT, WITHOUT ROWID;

CREATE INDEX attempts_running ON attempts (worker) WHERE state = 'running';
CREATE INDEX attempts_by_start ON attempts (started_at);

-- A child waits for its parents. parent_id outlives a parent that was purged.
CREATE TABLE dependencies (
    child     INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    parent    INTEGER NOT NULL,
    parent_id TEXT NOT NULL,
    PRIMARY KEY (child, parent)
) STRICT, WITHOUT ROWID;

CREATE INDEX dependencies_by_parent ON dependencies (parent);

CREATE TABLE labels (
    seq   INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (seq, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX labels_by_value ON labels (key, value, seq);

CREATE TABLE workers (
    id           TEXT PRIMARY KEY,
    role         TEXT NOT NULL CHECK (role IN ('supervisor', 'worker')),
    supervisor   TEXT,
    host         TEXT NOT NULL,
    boot         TEXT NOT NULL,
    pid          INTEGER NOT NULL CHECK (pid > 0),
    born         TEXT NOT NULL,
    queues       TEXT CHECK (queues IS NULL OR json_valid(queues)),
    lease_ms     INTEGER NOT NULL CHECK (lease_ms > 0),
    started_at   INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL,
    stop         TEXT CHECK (stop IN ('graceful', 'now'))
) STRICT, WITHOUT ROWID;

CREATE TABLE queues (
    name        TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 200),
    paused_at   INTEGER,
    paused_by   TEXT,
    note        TEXT,
    concurrency INTEGER CHECK (concurrency > 0)
) STRICT, WITHOUT ROWID;

-- How many jobs of a queue are in a state: kept by the triggers below, in constant time.
CREATE TABLE counters (
    queue TEXT NOT NULL,
    state TEXT NOT NULL,
    jobs  INTEGER NOT NULL CHECK (jobs >= 0),
    PRIMARY KEY (queue, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs BEGIN
    INSERT INTO counters VALUES (new.queue, new.state, 1)
        ON CONFLICT (queue, state) DO UPDATE SET jobs = jobs + 1;
END;

CREATE TRIGGER jobs_moved AFTER UPDATE OF state, queue ON jobs
WHEN old.state IS NOT new.state OR old.queue IS NOT new.queue BEGIN
    UPDATE counters SET jobs = jobs - 1 WHERE queue = old.queue AND state = old.state;
    INSERT INTO counters VALUES (new.queue, new.state, 1)
        ON CONFLICT (queue, state) DO UPDATE SET jobs = jobs + 1;
END;

CREATE TRIGGER jobs_deleted AFTER DELETE ON jobs BEGIN
    UPDATE counters SET jobs = jobs - 1 WHERE queue = old.queue AND state = old.state;
END;

-- What ended in a minute and in an hour. A purge of jobs leaves it.
CREATE TABLE rollup (
    span_ms  INTEGER NOT NULL CHECK (span_ms IN (60000, 3600000)),
    start_at INTEGER NOT NULL,
    queue    TEXT NOT NULL,
    state    TEXT NOT NULL,
    ends     INTEGER NOT NULL,
    wait_ms  INTEGER NOT NULL,
    run_ms   INTEGER NOT NULL,
    PRIMARY KEY (span_ms, start_at, queue, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER attempts_ended AFTER UPDATE OF state ON attempts WHEN old.state = 'running' BEGIN
    INSERT INTO rollup
        SELECT span.value, new.finished_at / span.value * span.value, jobs.queue, new.state, 1,
               max(0, new.started_at - new.due_at), max(0, new.finished_at - new.started_at)
        FROM jobs, (SELECT 60000 AS value UNION ALL SELECT 3600000) AS span
        WHERE jobs.seq = new.seq
        ON CONFLICT (span_ms, start_at, queue, state) DO UPDATE SET
            ends = ends + 1, wait_ms = wait_ms + excluded.wait_ms, run_ms = run_ms + excluded.run_ms;
END;

-- A job as it is read: with what its latest attempt says where its state rests on it.
CREATE VIEW job_rows AS
    SELECT jobs.seq, jobs.id, jobs.state, jobs.queue, jobs.priority, jobs.command, jobs.options,
           jobs.attempts, jobs.attempt, jobs.max_retries, jobs.backoff_base, jobs.backoff_max,
           jobs.backoff_jitter, jobs.timeout_ms, jobs.created_at, jobs.updated_at, jobs.run_at,
           latest.exit_code, latest.error, jobs.unique_key,
           (SELECT json_group_array(parent_id) FROM dependencies WHERE child = jobs.seq) AS after,
           (SELECT json_group_object(key, value) FROM labels WHERE labels.seq = jobs.seq) AS labels
    FROM jobs
    LEFT JOIN attempts AS latest ON latest.seq = jobs.seq AND latest.attempt = jobs.attempt AND jobs.attempts > 0
        AND jobs.state IN ('completed', 'failed', 'dead', 'cancelled');
