-- name: next_seq
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'jobs'), 0) + 1;

-- name: insert_job
INSERT INTO jobs (seq, id, state, ready, queue, priority, created_at, updated_at, run_at,
                  max_retries, backoff_base, backoff_max, backoff_jitter, timeout_ms,
                  unique_key, command, options)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: import_job
INSERT INTO jobs (seq, id, state, ready, queue, priority, created_at, updated_at, run_at,
                  max_retries, backoff_base, backoff_max, backoff_jitter, timeout_ms,
                  unique_key, command, options, attempts, attempt)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: lengthen_import
UPDATE imports SET last_seq = :last, latest_at = max(latest_at, :latest) WHERE last_seq = :first - 1;

-- name: note_import
INSERT INTO imports (first_seq, last_seq, latest_at) VALUES (:first, :last, :latest);

-- name: imports
SELECT first_seq, last_seq, latest_at FROM imports ORDER BY first_seq;

-- name: import_attempt
INSERT INTO attempts (seq, attempt, state, worker, due_at, started_at, finished_at, exit_code, signal,
                      cause, error, cancel_requested_at, cancel_requested_by)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: import_dependency
INSERT INTO dependencies (child, parent, parent_id, any_end) VALUES (?, ?, ?, ?);

-- name: stored_ids
SELECT id, seq FROM jobs WHERE id IN (SELECT value FROM json_each(?));

-- name: insert_label
INSERT INTO labels (seq, key, value) VALUES (?, ?, ?);

-- name: insert_dependency
INSERT INTO dependencies (child, parent, parent_id, any_end) VALUES (?, ?, ?, ?);

-- name: parent
SELECT seq, state FROM jobs WHERE id = ?;

-- name: key_holder
SELECT id FROM jobs
WHERE unique_key = ? AND unique_key IS NOT NULL AND state NOT IN ('completed', 'dead', 'cancelled');

-- name: job_by_seq
SELECT * FROM job_rows WHERE seq = ?;

-- name: seq_of
SELECT seq FROM jobs WHERE id = ?;

-- name: state_of
SELECT seq, state, unique_key FROM jobs WHERE id = ?;

-- name: parents_of
SELECT parent_id, parent.state
FROM dependencies LEFT JOIN jobs AS parent ON parent.seq = dependencies.parent
WHERE child = :seq
ORDER BY CASE WHEN parent.state IS 'completed' THEN 2
              WHEN any_end = (parent.state IS NULL OR parent.state IN ('dead', 'cancelled')) THEN 1
              ELSE 0 END, parent
LIMIT :limit;

-- name: children_of
SELECT jobs.id, jobs.state FROM dependencies JOIN jobs ON jobs.seq = dependencies.child
WHERE parent = :seq ORDER BY child LIMIT :limit;

-- name: count_parents
SELECT count(*) FROM (SELECT 1 FROM dependencies WHERE child = :seq LIMIT :limit) AS counted;

-- name: count_children
SELECT count(*) FROM (SELECT 1 FROM dependencies WHERE parent = :seq LIMIT :limit) AS counted;

-- name: running_in_queue
SELECT jobs.id FROM attempts INDEXED BY attempts_running CROSS JOIN jobs ON jobs.seq = attempts.seq
WHERE attempts.state = 'running' AND jobs.queue = :queue ORDER BY jobs.seq LIMIT :limit;

-- name: ahead
SELECT count(*) FROM (
    SELECT 1 FROM jobs INDEXED BY jobs_ready
    WHERE ready = 1 AND queue = :queue AND priority > :priority
    UNION ALL
    SELECT 1 FROM jobs INDEXED BY jobs_ready
    WHERE ready = 1 AND queue = :queue AND priority = :priority AND seq < :seq
    LIMIT :limit) AS counted;

-- name: at_or_after
SELECT id FROM jobs WHERE seq >= :seq ORDER BY seq LIMIT 1;

-- name: states_of
SELECT seq, state, id, unique_key FROM jobs WHERE seq IN (SELECT value FROM json_each(:seqs)) ORDER BY seq;

-- name: newest_started
SELECT seq FROM attempts ORDER BY started_at DESC, seq DESC, attempt DESC LIMIT 1;

-- name: last_ended
SELECT seq, attempt, state, worker, started_at, finished_at, exit_code, signal, cause, error, output_bytes
FROM attempts INDEXED BY attempts_by_end
WHERE finished_at IS NOT NULL ORDER BY finished_at DESC, seq DESC, attempt DESC LIMIT ?;

-- name: ended_since
SELECT ended.finished_at, ended.started_at, ended.due_at, ended.state, jobs.queue,
       substr(jobs.command, 1, 200), CASE WHEN jobs.command IS NULL THEN jobs.options END
FROM (SELECT seq, finished_at, started_at, due_at, state FROM attempts INDEXED BY attempts_by_end
      WHERE finished_at IS NOT NULL AND finished_at >= :since ORDER BY finished_at DESC LIMIT :limit) AS ended
CROSS JOIN jobs ON jobs.seq = ended.seq;

-- name: totals
SELECT queue, state, sum(ends), sum(wait_ms), sum(run_ms)
FROM rollup WHERE span_ms = 3600000 GROUP BY queue, state;

-- name: attempts_of
SELECT seq, attempt, state, worker, started_at, finished_at, exit_code, signal, cause, error, output_bytes
FROM attempts WHERE seq = ? ORDER BY attempt;

-- name: past_of
SELECT seq, attempt, state, worker, started_at, finished_at, exit_code, signal, cause, error, output_bytes,
       due_at, cancel_requested_at, cancel_requested_by
FROM attempts WHERE seq = ? ORDER BY attempt;

-- name: gone_of
SELECT parent_id FROM dependencies
WHERE child = ? AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.seq = dependencies.parent) ORDER BY parent;

-- name: settled_parents_of
SELECT parent, parent_id FROM dependencies JOIN jobs AS settled ON settled.seq = dependencies.parent
WHERE child = ? AND (settled.state = 'completed' OR any_end AND settled.state IN ('dead', 'cancelled'));

-- name: latest_attempt
SELECT seq, attempt, state, worker, started_at, finished_at, exit_code, signal, cause, error, output_bytes
FROM attempts WHERE seq = ? AND attempt = ?;

-- name: running
SELECT seq, attempt, worker FROM attempts INDEXED BY attempts_running WHERE state = 'running' ORDER BY seq;

-- name: newest
SELECT seq FROM jobs WHERE seq BETWEEN :low AND :high ORDER BY seq DESC LIMIT :limit;

-- name: newest_in_state
SELECT seq FROM jobs WHERE state = :state AND seq BETWEEN :low AND :high ORDER BY seq DESC LIMIT :limit;

-- name: newest_in_queue
SELECT seq FROM jobs INDEXED BY jobs_by_queue
WHERE queue = :queue AND seq BETWEEN :low AND :high ORDER BY seq DESC LIMIT :limit;

-- name: newest_labelled
SELECT seq FROM labels
WHERE key = :key AND value = :value AND seq BETWEEN :low AND :high ORDER BY seq DESC LIMIT :limit;

-- name: oldest
SELECT seq FROM jobs WHERE seq BETWEEN :low AND :high ORDER BY seq LIMIT :limit;

-- name: oldest_in_state
SELECT seq FROM jobs WHERE state = :state AND seq BETWEEN :low AND :high ORDER BY seq LIMIT :limit;

-- name: oldest_in_queue
SELECT seq FROM jobs INDEXED BY jobs_by_queue
WHERE queue = :queue AND seq BETWEEN :low AND :high ORDER BY seq LIMIT :limit;

-- name: oldest_labelled
SELECT seq FROM labels
WHERE key = :key AND value = :value AND seq BETWEEN :low AND :high ORDER BY seq LIMIT :limit;

-- name: count_labelled
SELECT count(*) FROM (SELECT 1 FROM labels WHERE key = :key AND value = :value LIMIT :limit) AS counted;

-- name: first_stored_from
SELECT seq, created_at FROM jobs WHERE seq >= ? ORDER BY seq LIMIT 1;

-- name: jobs_of
SELECT * FROM job_rows WHERE seq IN (SELECT value FROM json_each(:seqs));

-- name: widths_of
SELECT seq, coalesce(length(command), 0) + coalesce(length(options), 0) FROM jobs
WHERE seq IN (SELECT value FROM json_each(:seqs));

-- name: jobs_matching
SELECT seq FROM job_rows
WHERE seq IN (SELECT value FROM json_each(:seqs))
  AND (:states IS NULL OR state IN (SELECT value FROM json_each(:states)))
  AND (:queue IS NULL OR queue = :queue)
  AND (:since IS NULL OR created_at >= :since)
  AND (:piece IS NULL OR command IS NULL OR instr(lower(command), :piece))
  AND (:failed_with IS NULL OR (exit_code = :failed_with AND state <> 'completed'))
  AND NOT EXISTS (SELECT 1 FROM json_each(:labels) AS want WHERE NOT EXISTS (
      SELECT 1 FROM labels WHERE labels.seq = job_rows.seq AND key = want.key AND labels.value = want.value));

-- name: promote_due
UPDATE jobs SET ready = 1
WHERE seq IN (SELECT seq FROM jobs WHERE ready = 0 AND run_at <= :now ORDER BY run_at LIMIT :limit);

-- name: choose
WITH RECURSIVE open (queue) AS (
    SELECT (SELECT queue FROM jobs INDEXED BY jobs_ready WHERE ready = 1 ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT queue FROM jobs INDEXED BY jobs_ready
            WHERE ready = 1 AND queue > open.queue ORDER BY queue LIMIT 1)
    FROM open WHERE open.queue IS NOT NULL
)
SELECT -head.priority, head.seq, open.queue, CASE WHEN queues.concurrency IS NOT NULL THEN
    queues.concurrency - coalesce((SELECT jobs FROM counters WHERE queue = open.queue AND state = 'processing'), 0) END
FROM open
LEFT JOIN queues ON queues.name = open.queue
JOIN jobs AS head ON head.seq = (
    SELECT seq FROM jobs INDEXED BY jobs_ready
    WHERE ready = 1 AND queue = open.queue ORDER BY priority DESC, seq LIMIT 1)
WHERE queues.paused_at IS NULL
  AND (queues.concurrency IS NULL OR queues.concurrency > coalesce((
      SELECT jobs FROM counters WHERE queue = open.queue AND state = 'processing'), 0))
ORDER BY head.priority DESC, head.seq LIMIT :limit;

-- name: choose_of
SELECT -head.priority, head.seq, served.value, CASE WHEN queues.concurrency IS NOT NULL THEN
    queues.concurrency - coalesce((SELECT jobs FROM counters WHERE queue = served.value AND state = 'processing'), 0) END
FROM json_each(:queues) AS served
LEFT JOIN queues ON queues.name = served.value
JOIN jobs AS head ON head.seq = (
    SELECT seq FROM jobs INDEXED BY jobs_ready
    WHERE ready = 1 AND queue = served.value ORDER BY priority DESC, seq LIMIT 1)
WHERE queues.paused_at IS NULL
  AND (queues.concurrency IS NULL OR queues.concurrency > coalesce((
      SELECT jobs FROM counters WHERE queue = served.value AND state = 'processing'), 0))
ORDER BY head.priority DESC, head.seq LIMIT :limit;

-- name: head_of
SELECT -priority, seq FROM jobs INDEXED BY jobs_ready
WHERE ready = 1 AND queue = ? ORDER BY priority DESC, seq LIMIT 1;

-- name: choose_aged
WITH RECURSIVE heads (seq) AS (
    SELECT (SELECT seq FROM jobs INDEXED BY jobs_ready
            WHERE ready = 1 ORDER BY queue, priority DESC, seq LIMIT 1)
    UNION ALL
    SELECT coalesce(
        (SELECT seq FROM jobs INDEXED BY jobs_ready
         WHERE ready = 1 AND queue = head.queue AND priority < head.priority
         ORDER BY priority DESC, seq LIMIT 1),
        (SELECT seq FROM jobs INDEXED BY jobs_ready
         WHERE ready = 1 AND queue > head.queue ORDER BY queue, priority DESC, seq LIMIT 1))
    FROM heads JOIN jobs AS head ON head.seq = heads.seq
)
SELECT head.seq
FROM heads
JOIN jobs AS head ON head.seq = heads.seq
LEFT JOIN queues ON queues.name = head.queue
WHERE queues.paused_at IS NULL
  AND (:queues IS NULL OR head.queue IN (SELECT value FROM json_each(:queues)))
  AND (queues.concurrency IS NULL OR queues.concurrency > coalesce((
      SELECT jobs FROM counters WHERE queue = head.queue AND state = 'processing'), 0))
ORDER BY head.priority + max(0, :now - max(head.run_at, head.created_at)) / :level_ms DESC, head.seq
LIMIT 1;

-- name: take
UPDATE jobs SET state = 'processing', ready = NULL, attempt = attempt + 1, attempts = attempts + 1,
                updated_at = :now
WHERE seq = :seq AND ready = 1
RETURNING seq, id, state, queue, priority, command, options, attempts, attempt, max_retries, backoff_base,
          backoff_max, backoff_jitter, timeout_ms, created_at, updated_at, run_at, NULL, NULL, unique_key,
          (SELECT json_group_array(parent_id) FROM dependencies WHERE child = jobs.seq),
          (SELECT json_group_object(key, value) FROM labels WHERE labels.seq = jobs.seq);

-- name: start_attempt
INSERT INTO attempts (seq, attempt, state, worker, due_at, started_at)
VALUES (:seq, :attempt, 'running', :worker, :due_at, :now);

-- name: before_claims
SELECT EXISTS (SELECT 1 FROM workers WHERE id = :worker AND role = 'worker'),
       EXISTS (SELECT 1 FROM jobs WHERE ready = 0 AND run_at <= :now);

-- name: settle_job
UPDATE jobs SET state = :state, ready = :ready, run_at = coalesce(:run_at, run_at),
                attempts = attempts - :given_back, updated_at = :now
WHERE seq = :seq AND attempt = :attempt AND state = 'processing'
RETURNING EXISTS (SELECT 1 FROM dependencies WHERE parent = jobs.seq), instr(options, '"on_') > 0;

-- name: correct_start
UPDATE attempts SET started_at = max(started_at, :began_at)
WHERE seq = :seq AND attempt = :attempt AND state = 'running';

-- name: end_attempt
UPDATE attempts SET state = :state, finished_at = :ended_at, exit_code = :exit_code, signal = :signal,
                    cause = :cause, error = :error, output_bytes = :output_bytes
WHERE seq = :seq AND attempt = :attempt AND state = 'running';

-- name: attempt_of
SELECT seq, attempt, state, worker, started_at, finished_at, exit_code, signal, cause, error, output_bytes
FROM attempts WHERE seq = :seq AND attempt = :attempt;

-- name: note_late_result
UPDATE attempts SET error = error || :note
WHERE seq = :seq AND attempt = :attempt AND state = 'crashed' AND instr(error, :note) = 0;

-- name: unblock_children
UPDATE jobs SET state = 'pending', ready = run_at <= :now, updated_at = :now
WHERE state = 'blocked' AND seq IN (SELECT child FROM dependencies WHERE parent = :seq)
  AND NOT EXISTS (
      SELECT 1 FROM dependencies LEFT JOIN jobs AS parent ON parent.seq = dependencies.parent
      WHERE dependencies.child = jobs.seq AND parent.state IS NOT 'completed'
        AND (NOT any_end OR parent.state NOT IN ('dead', 'cancelled')));

-- name: cancel_waiting
UPDATE jobs SET state = 'cancelled', ready = NULL, updated_at = :now
WHERE seq = :seq AND state IN ('pending', 'blocked', 'failed');

-- name: update_waiting
UPDATE jobs SET
    priority = coalesce(:priority, priority), queue = coalesce(:queue, queue),
    max_retries = coalesce(:max_retries, max_retries),
    timeout_ms = CASE WHEN :new_timeout THEN :timeout_ms ELSE timeout_ms END,
    ready = CASE WHEN ready IS NULL OR :run_at IS NULL THEN ready ELSE :run_at <= :now END,
    run_at = coalesce(:run_at, run_at), updated_at = :now
WHERE seq = :seq AND state IN ('pending', 'blocked', 'failed');

-- name: take_labels
DELETE FROM labels WHERE seq = :seq AND key IN (SELECT value FROM json_each(:keys));

-- name: spec_bytes
SELECT coalesce(length(CAST(command AS BLOB)), 0) + coalesce(length(CAST(options AS BLOB)), 0)
     + (SELECT coalesce(sum(length(CAST(key AS BLOB)) + length(CAST(value AS BLOB)) + 6), 0)  -- "":"",
        FROM labels WHERE seq = :seq)
FROM jobs WHERE seq = :seq;

-- name: set_label
INSERT INTO labels (seq, key, value) VALUES (?, ?, ?)
ON CONFLICT (seq, key) DO UPDATE SET value = excluded.value;

-- name: request_cancel
UPDATE attempts SET cancel_requested_at = coalesce(cancel_requested_at, :now),
                    cancel_requested_by = coalesce(cancel_requested_by, :by)
WHERE seq = :seq AND state = 'running';

-- name: is_cancel_requested
SELECT 1 FROM attempts WHERE seq = :seq AND attempt = :attempt AND cancel_requested_at IS NOT NULL;

-- name: pause_queue
INSERT INTO queues (name, paused_at, paused_by, note) VALUES (:queue, :now, :by, :note)
ON CONFLICT (name) DO UPDATE SET paused_at = coalesce(paused_at, excluded.paused_at),
    paused_by = excluded.paused_by, note = excluded.note;

-- name: resume_queue
UPDATE queues SET paused_at = NULL, paused_by = NULL, note = NULL WHERE name = :queue;

-- name: limit_queue
INSERT INTO queues (name, concurrency) VALUES (:queue, :concurrency)
ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency;

-- name: insert_schedule
INSERT INTO schedules (name, cron, timezone, overlap, catch_up, spec, created_at, next_at)
VALUES (:name, :cron, :timezone, :overlap, :catch_up, :spec, :now, :next_at)
ON CONFLICT (name) DO NOTHING;

-- name: schedules
-- Text that another program has spoilt is none: it is read, and names are given, as bytes.
SELECT CAST(name AS BLOB), CAST(cron AS BLOB), CAST(timezone AS BLOB), CAST(overlap AS BLOB),
       CAST(catch_up AS BLOB), CAST(spec AS BLOB), created_at, paused_at, CAST(paused_by AS BLOB), next_at
FROM schedules ORDER BY name;

-- name: schedule
SELECT CAST(name AS BLOB), CAST(cron AS BLOB), CAST(timezone AS BLOB), CAST(overlap AS BLOB),
       CAST(catch_up AS BLOB), CAST(spec AS BLOB), created_at, paused_at, CAST(paused_by AS BLOB), next_at
FROM schedules WHERE name = CAST(? AS TEXT);

-- name: due_schedules
SELECT CAST(name AS BLOB), CAST(cron AS BLOB), CAST(timezone AS BLOB), CAST(overlap AS BLOB),
       CAST(catch_up AS BLOB), CAST(spec AS BLOB), created_at, paused_at, CAST(paused_by AS BLOB), next_at
FROM schedules WHERE paused_at IS NULL AND next_at <= :now ORDER BY next_at LIMIT :limit;

-- name: next_tick
SELECT min(next_at) FROM schedules WHERE paused_at IS NULL;

-- name: move_on
UPDATE schedules SET next_at = :next_at WHERE name = CAST(:name AS TEXT) AND next_at = :due AND paused_at IS NULL;

-- name: pause_schedule
UPDATE schedules SET paused_at = coalesce(paused_at, :now), paused_by = :by, next_at = NULL
WHERE name = CAST(:name AS TEXT);

-- name: resume_schedule
UPDATE schedules SET paused_at = NULL, paused_by = NULL, next_at = :next_at WHERE name = CAST(:name AS TEXT);

-- name: remove_schedule
DELETE FROM schedules WHERE name = CAST(:name AS TEXT);

-- name: insert_tick
INSERT INTO ticks (schedule, tick_at, seq, job_id, skipped) VALUES (CAST(:name AS TEXT), :at, :seq, :job_id, :skipped)
ON CONFLICT (schedule, tick_at) DO NOTHING;

-- name: forget_old_ticks
DELETE FROM ticks
WHERE schedule = CAST(:name AS TEXT)
  AND tick_at <= (SELECT tick_at FROM ticks WHERE schedule = CAST(:name AS TEXT) ORDER BY tick_at DESC LIMIT 1 OFFSET :kept)
  AND NOT (
    tick_at > coalesce(
        (SELECT tick_at FROM ticks WHERE schedule = CAST(:name AS TEXT) ORDER BY tick_at DESC LIMIT 1 OFFSET 2 * :kept), -1e19)
    AND EXISTS (SELECT 1 FROM schedules WHERE name = CAST(:name AS TEXT) AND overlap = 'skip')
    AND EXISTS (SELECT 1 FROM jobs WHERE seq = ticks.seq AND state NOT IN ('completed', 'dead', 'cancelled')));

-- name: ticks_of
SELECT ticks.tick_at, ticks.job_id, jobs.state, ticks.skipped
FROM ticks LEFT JOIN jobs ON jobs.seq = ticks.seq
WHERE ticks.schedule = CAST(:name AS TEXT) ORDER BY ticks.tick_at DESC LIMIT :limit;

-- name: unfinished_of_schedule
SELECT jobs.id FROM ticks JOIN jobs ON jobs.seq = ticks.seq
WHERE ticks.schedule = CAST(:name AS TEXT) AND jobs.state NOT IN ('completed', 'dead', 'cancelled')
ORDER BY ticks.tick_at DESC LIMIT 1;

-- name: next_due
SELECT min(run_at) FROM jobs WHERE ready = 0;

-- name: oldest_due
SELECT min(run_at) FROM jobs WHERE ready = 1;

-- name: drained
WITH RECURSIVE open (queue) AS (
    SELECT (SELECT queue FROM jobs INDEXED BY jobs_ready WHERE ready = 1 ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT queue FROM jobs INDEXED BY jobs_ready
            WHERE ready = 1 AND queue > open.queue ORDER BY queue LIMIT 1)
    FROM open WHERE open.queue IS NOT NULL
),
holding (queue, pausable) AS (
    SELECT queue, 1 FROM open WHERE queue IS NOT NULL
    UNION ALL
    SELECT queue, state = 'failed' FROM counters WHERE state IN ('processing', 'failed') AND jobs > 0
)
SELECT NOT EXISTS (
    SELECT 1 FROM holding LEFT JOIN queues ON queues.name = holding.queue
    WHERE (:queues IS NULL OR holding.queue IN (SELECT value FROM json_each(:queues)))
      AND NOT (holding.pausable AND queues.paused_at IS NOT NULL));

-- name: counts
SELECT queue, state, jobs FROM counters;

-- name: queues
SELECT name, paused_at, paused_by, note, concurrency FROM queues;

-- name: counts_of
SELECT state, jobs FROM counters WHERE queue = :queue;

-- name: queue_settings
SELECT paused_at, paused_by, note, concurrency FROM queues WHERE name = :queue;

-- name: rates
SELECT sum(CASE WHEN state = 'completed' THEN ends END),
       sum(CASE WHEN state IN ('failed', 'timeout', 'crashed') THEN ends END),
       sum(wait_ms), sum(run_ms), sum(ends)
FROM rollup WHERE span_ms = 60000 AND start_at >= :since AND state NOT IN ('released', 'cancelled');

-- name: register
INSERT INTO workers (id, role, supervisor, host, boot, pid, born, queues, lease_ms, started_at, heartbeat_at)
VALUES (:id, :role, :supervisor, :host, :boot, :pid, :born, :queues, :lease_ms, :now, :now)
ON CONFLICT (id) DO UPDATE SET
    role = excluded.role, supervisor = excluded.supervisor, host = excluded.host, boot = excluded.boot,
    pid = excluded.pid, born = excluded.born, queues = excluded.queues,
    lease_ms = excluded.lease_ms, heartbeat_at = excluded.heartbeat_at;

-- name: renew
UPDATE workers SET heartbeat_at = :now WHERE id = :id;

-- name: forget
DELETE FROM workers WHERE id = :id
  AND NOT EXISTS (SELECT 1 FROM attempts WHERE worker = :id AND state = 'running');

-- name: request_stop
UPDATE workers SET stop = :stop
WHERE id IN (SELECT value FROM json_each(:ids)) AND stop IS NOT 'now';

-- name: stop_of
SELECT stop FROM workers WHERE id = ?;

-- name: cancelled_of
SELECT seq, attempt FROM attempts
WHERE worker = ? AND state = 'running' AND cancel_requested_at IS NOT NULL;

-- name: workers
SELECT id, role, host, boot, pid, born, lease_ms, supervisor, queues, started_at, heartbeat_at, stop,
       (SELECT jobs.id FROM attempts JOIN jobs ON jobs.seq = attempts.seq
        WHERE attempts.worker = workers.id AND attempts.state = 'running' LIMIT 1)
FROM workers ORDER BY started_at, id;

-- name: retry_finished
UPDATE jobs SET attempts = 0, run_at = :now, updated_at = :now,
    state = CASE WHEN waits.yes THEN 'blocked' ELSE 'pending' END,
    ready = CASE WHEN waits.yes THEN NULL ELSE 1 END
FROM (SELECT EXISTS (
        SELECT 1 FROM dependencies LEFT JOIN jobs AS parent ON parent.seq = dependencies.parent
        WHERE dependencies.child = :seq AND parent.state IS NOT 'completed'
          AND (NOT any_end OR parent.state NOT IN ('dead', 'cancelled'))) AS yes) AS waits
WHERE seq = :seq AND state IN ('dead', 'cancelled', 'completed');

-- name: block_children
UPDATE jobs SET state = 'blocked', ready = NULL, updated_at = :now
WHERE state = 'pending' AND seq IN (SELECT child FROM dependencies WHERE parent = :seq);

-- name: retry_failed
UPDATE jobs SET ready = 1, run_at = :now, updated_at = :now WHERE seq = :seq AND state = 'failed';

-- name: dead_letters
SELECT seq FROM jobs AS dead
WHERE state = 'dead' AND NOT EXISTS (
    SELECT 1 FROM jobs AS holder
    WHERE holder.unique_key = dead.unique_key AND holder.unique_key IS NOT NULL
      AND holder.state NOT IN ('completed', 'dead', 'cancelled'))
ORDER BY seq LIMIT :limit;

-- name: purgeable
SELECT seq FROM jobs
WHERE seq IN (SELECT value FROM json_each(:seqs)) AND state IN (SELECT value FROM json_each(:states))
  AND updated_at <= :until AND (:queue IS NULL OR queue = :queue)
  AND NOT EXISTS (SELECT 1 FROM json_each(:labels) AS want WHERE NOT EXISTS (
      SELECT 1 FROM labels WHERE labels.seq = jobs.seq AND key = want.key AND labels.value = want.value))
  AND (state = 'completed' OR NOT EXISTS (
      SELECT 1 FROM dependencies JOIN jobs AS child ON child.seq = dependencies.child
      WHERE dependencies.parent = jobs.seq AND NOT any_end AND child.state = 'blocked'));

-- name: ended_after
SELECT seq, created_at, updated_at <= :until AND (state = 'completed' OR NOT EXISTS (
    SELECT 1 FROM dependencies JOIN jobs AS child ON child.seq = dependencies.child
    WHERE dependencies.parent = jobs.seq AND NOT any_end AND child.state = 'blocked'))
FROM jobs WHERE state = :state AND seq > :after ORDER BY seq LIMIT :limit;

-- name: still_old
SELECT seq FROM jobs
WHERE seq IN (SELECT value FROM json_each(:seqs)) AND state = :state AND updated_at <= :until
  AND (state = 'completed' OR NOT EXISTS (
      SELECT 1 FROM dependencies JOIN jobs AS child ON child.seq = dependencies.child
      WHERE dependencies.parent = jobs.seq AND NOT any_end AND child.state = 'blocked'));

-- name: satisfy_children
DELETE FROM dependencies
WHERE parent IN (SELECT value FROM json_each(:seqs))
  AND EXISTS (SELECT 1 FROM jobs WHERE jobs.seq = dependencies.parent AND jobs.state = 'completed');

-- name: purge
DELETE FROM jobs
WHERE seq IN (SELECT value FROM json_each(:seqs)) AND state IN ('completed', 'dead', 'cancelled')
RETURNING seq;

-- name: old_minutes
SELECT 1 FROM rollup WHERE span_ms = 60000 AND start_at < :until LIMIT 1;

-- name: drop_minutes
DELETE FROM rollup WHERE span_ms = 60000 AND (start_at, queue, state) IN (
    SELECT start_at, queue, state FROM rollup WHERE span_ms = 60000 AND start_at < :until
    ORDER BY start_at LIMIT :limit);

-- name: starts_between
SELECT seq, attempt, state, worker, output_bytes FROM attempts
WHERE seq BETWEEN :first AND :last ORDER BY seq, attempt;

-- name: seqs_between
SELECT seq FROM jobs WHERE seq BETWEEN :first AND :last;

-- name: miscounted
SELECT queue, state, sum(kept), sum(found)
FROM (SELECT queue, state, jobs AS kept, 0 AS found FROM counters
      UNION ALL
      SELECT queue, state, 0, count(*) FROM jobs GROUP BY queue, state)
GROUP BY queue, state HAVING sum(kept) <> sum(found);

-- name: clear_counts
UPDATE counters SET jobs = 0;

-- name: recount
INSERT INTO counters SELECT queue, state, count(*) FROM jobs WHERE true GROUP BY queue, state
ON CONFLICT (queue, state) DO UPDATE SET jobs = excluded.jobs;

-- name: count_jobs
SELECT count(*), coalesce(sum(state = 'processing'), 0) FROM jobs;

-- name: unheld_jobs
SELECT id FROM jobs
WHERE state = 'processing' AND NOT EXISTS (
    SELECT 1 FROM attempts WHERE attempts.seq = jobs.seq AND attempts.attempt = jobs.attempt
      AND attempts.state = 'running' AND attempts.worker <> '');

-- name: stray_attempts
SELECT attempts.seq || '-' || attempts.attempt
FROM attempts INDEXED BY attempts_running LEFT JOIN jobs ON jobs.seq = attempts.seq
WHERE attempts.state = 'running'
  AND (jobs.state IS NOT 'processing' OR jobs.attempt IS NOT attempts.attempt);

-- name: misflagged_jobs
SELECT id FROM jobs WHERE (ready IS NOT NULL) <> (state IN ('pending', 'failed'));

-- name: flag_again
UPDATE jobs SET ready = CASE WHEN state IN ('pending', 'failed') THEN run_at <= :now END
WHERE (ready IS NOT NULL) <> (state IN ('pending', 'failed'));

-- name: needlessly_blocked_jobs
SELECT id FROM jobs
WHERE state = 'blocked' AND NOT EXISTS (
    SELECT 1 FROM dependencies LEFT JOIN jobs AS parent ON parent.seq = dependencies.parent
    WHERE dependencies.child = jobs.seq AND parent.state IS NOT 'completed'
      AND (NOT any_end OR parent.state NOT IN ('dead', 'cancelled')));

-- name: unblock_again
UPDATE jobs SET state = 'pending', ready = run_at <= :now, updated_at = :now
WHERE state = 'blocked' AND NOT EXISTS (
    SELECT 1 FROM dependencies LEFT JOIN jobs AS parent ON parent.seq = dependencies.parent
    WHERE dependencies.child = jobs.seq AND parent.state IS NOT 'completed'
      AND (NOT any_end OR parent.state NOT IN ('dead', 'cancelled')));

-- name: hopelessly_blocked_jobs
SELECT DISTINCT jobs.id
FROM jobs JOIN dependencies ON dependencies.child = jobs.seq
LEFT JOIN jobs AS parent ON parent.seq = dependencies.parent
WHERE jobs.state = 'blocked' AND NOT any_end
  AND (parent.state IS NULL OR parent.state IN ('dead', 'cancelled'));

-- name: latest_times
SELECT 'a job', max(max(created_at, updated_at)) FROM jobs
UNION ALL SELECT 'an attempt', max(max(started_at, coalesce(finished_at, 0))) FROM attempts
UNION ALL SELECT 'a worker', max(max(started_at, heartbeat_at)) FROM workers;

-- name: jobs_beyond_the_calendar
SELECT id FROM jobs
WHERE min(created_at, updated_at, run_at) < :first OR max(created_at, updated_at, run_at) > :last
UNION
SELECT jobs.id FROM attempts JOIN jobs ON jobs.seq = attempts.seq
WHERE min(attempts.started_at, coalesce(finished_at, attempts.started_at)) < :first
   OR max(attempts.started_at, coalesce(finished_at, attempts.started_at)) > :last;

-- name: jobs_with_options
SELECT id, command, options FROM jobs WHERE options IS NOT NULL;

-- name: schema_objects
SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name;

-- name: temporary_objects
SELECT name FROM temp.sqlite_schema;

-- name: objects_that_touch
SELECT type || ' ' || name FROM sqlite_schema
WHERE type IN ('index', 'trigger') AND name NOT LIKE 'sqlite_%'
  AND lower(tbl_name) IN (SELECT value FROM json_each(:tables))
UNION
SELECT 'table ' || made.name FROM sqlite_schema AS made, pragma_foreign_key_list(made.name) AS reference
WHERE made.type = 'table' AND lower(reference."table") IN (SELECT value FROM json_each(:tables));

-- name: forget_all
DELETE FROM workers;
