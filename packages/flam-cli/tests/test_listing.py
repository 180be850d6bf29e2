"""``list`` by what jobs are, in the columns and the order that were asked for."""

from __future__ import annotations

import attrs
import pytest
from conftest import FAILURE, Run, Workshop
from terminals import terminal
from test_enqueue import JOB_KEYS

from flam_cli.render.columns import KNOWN
from flam_cli.render.human import cells
from flam_cli.render.table import fitted
from flam_store import JobSpec
from flam_store.outcome import Dead

LONG = "0190c2c8-9561-78cd-8a49-3ff565a22682-and-an-id-that-is-longer-than-a-line"


def test_list_narrows_by_time_command_and_exit_code(queuectl: Run, workshop: Workshop) -> None:
    workshop.end(workshop.running("dead"), Dead(failure=attrs.evolve(FAILURE, exit_code=137)))
    workshop.store.enqueue(JobSpec(id="args", args=("convert", "In.PNG"), queue="q"))
    workshop.store.enqueue(JobSpec(id="shell", command="convert in.png"))

    def listed(*words: str) -> list[str]:
        return [job["id"] for job in queuectl("list", "--json", *words).json]

    assert listed("--command", "in.png") == ["shell", "args"]
    assert listed("--command", "IN.png", "--queue", "q") == ["args"]
    assert listed("--failed-with", "137") == ["dead"]
    assert listed("--failed-with", "0") == []
    assert listed("--since", "1h", "--order", "oldest") == ["dead", "args", "shell"]
    assert listed("--since", "2000-01-01T00:00:00+01:00") == ["shell", "args", "dead"]
    assert listed("--since", "2100-01-01T00:00:00Z") == []


def test_the_oldest_first_are_paged_as_well(queuectl: Run, workshop: Workshop) -> None:
    workshop.store.enqueue_many(JobSpec(id=f"j{n}", command="x") for n in range(3))
    said = queuectl("list", "--order", "oldest", "--limit", "2", "--json")
    assert [job["id"] for job in said.json] == ["j0", "j1"]
    assert "--after j1" in said.err
    rest = queuectl("list", "--order", "oldest", "--after", "j1", "--json")
    assert ([job["id"] for job in rest.json], rest.err) == (["j2"], "")


def test_columns_are_chosen_for_a_person_and_for_a_script(
    queuectl: Run, workshop: Workshop
) -> None:
    workshop.store.enqueue(
        JobSpec(id="a", command="x\x1b[2J", labels={"k": "v w"}, env={"TOKEN": "secret"})
    )
    lines = queuectl("list", "--columns", "labels,id,command,env,max-retries,error").out
    assert lines.splitlines() == [
        "LABELS  ID  COMMAND   ENV        MAX_RETRIES  ERROR",
        r"k=v w   a   x\x1b[2J  TOKEN=***  3            -",
    ]
    told = queuectl("list", "--columns", "state,id", "--json").json
    assert [list(job.items()) for job in told] == [[("state", "pending"), ("id", "a")]]


def test_every_key_of_a_job_is_a_column(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a")
    assert set(KNOWN) == JOB_KEYS
    said = queuectl("list", "--columns", ",".join(KNOWN))
    assert (said.code, len(said.out.splitlines())) == (0, 2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--since", "soon"], "--since: 'soon' is no duration such as \"2h\" and no time"),
        (["--since", "2026-01-31T12:00:00"], "has no offset"),
        (["--since", ""], "--since"),
        (["--since", "-1h"], "--since"),
        (["--since", "0001-01-01T00:00:00+23:00"], "--since"),
        (["--command", ""], "--command: is empty"),
        (["--command", "\udcff"], "--command: is no UTF-8"),
        (["--failed-with", "256"], "--failed-with"),
        (["--failed-with", "-1"], "--failed-with"),
        (["--failed-with", "x"], "--failed-with"),
        (["--order", "newst"], "Did you mean 'newest'?"),
        (["--order", "priority"], "'priority' changes while jobs run"),
        (["--order", "run-at"], "'run-at' changes while jobs run"),
        (["--columns", "id,stat"], "Did you mean 'state'?"),
        (["--columns", ""], "--columns"),
        (["--columns", "id,"], "--columns"),
        (["--columns", "id,id"], "'id' is given twice"),
        (["--queue", ""], "--queue"),
        (["--queue", "a b"], "--queue"),
    ],
)
def test_what_cannot_be_meant_is_refused(queuectl: Run, words: list[str], told: str) -> None:
    refused = queuectl("list", *words)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert told in refused.err


@pytest.mark.parametrize(
    "words", [["list"], ["list", "--columns", "queue,id,command,updated_at"]], ids=len
)
def test_on_a_narrow_terminal_no_line_is_longer_and_no_id_is_cut(
    workshop: Workshop, words: list[str]
) -> None:
    identity = LONG[:36]
    workshop.completed("b", command="echo \N{CJK UNIFIED IDEOGRAPH-6C34}" * 40)
    workshop.store.enqueue(JobSpec(id=identity, command="y" * 300, queue="a-queue-with-a-name"))
    for columns in (40, 60, 80):
        with terminal(*words, columns=columns) as tty:
            lines = tty.rest().decode().replace("\x1b[32m", "").replace("\x1b[0m", "").split("\r\n")
        assert max(map(cells, lines)) <= columns
        assert any(identity in line for line in lines)
        assert "ID" in lines[0].split()


def test_an_id_longer_than_the_line_is_whole(workshop: Workshop) -> None:
    workshop.store.enqueue(JobSpec(id=LONG, command="true"))
    with terminal("list", columns=60) as tty:
        assert LONG.encode() in tty.rest()


def test_the_attempts_of_a_job_fit_a_narrow_terminal(workshop: Workshop) -> None:
    workshop.dead("a", b"output")
    with terminal("show", "a", columns=60) as tty:
        lines = tty.rest().decode().split("\r\n")
    table = lines[lines.index("") + 1 :]
    assert table[0].split()[:2] == ["ATTEMPT", "STATE"]
    assert "ERROR" in table[0]
    assert "WORKER" not in table[0]
    assert max(map(len, table)) <= 60 + len("\x1b[33m\x1b[0m")


@pytest.mark.parametrize(
    ("room", "widths"),
    [(29, (4, 3, 18)), (18, (4, 3, 7)), (16, (4, 3, 5)), (15, (4, 0, 9)), (8, (4, 0, 0)),
     (2, (4, 0, 0)), (80, (4, 3, 20))],
)  # fmt: skip
def test_columns_give_way_in_their_order(room: int, widths: tuple[int, ...]) -> None:
    yields = (("COMMAND", 5), ("AGE", 0), ("COMMAND", 0))
    assert fitted({"ID": 4, "AGE": 3, "COMMAND": 20}, yields, room) == widths


def test_show_tells_how_much_a_running_attempt_has_written(
    queuectl: Run, workshop: Workshop
) -> None:
    workshop.running("a", b"x" * 2_048)
    assert "2.0 KiB" in queuectl("show", "a").out
    assert queuectl("show", "a", "--json").json["history"][0]["output_bytes"] is None
    workshop.logs.path_of(workshop.store.job("a").seq, 1).unlink()
    assert queuectl("show", "a").code == 0


def test_counts_that_are_zero_give_way_to_what_was_set_for_a_queue(workshop: Workshop) -> None:
    workshop.completed("done")
    for queue, jobs in (("mail", 3), ("thumbnails-of-videos", 2)):
        workshop.store.enqueue_many([JobSpec(command="true", queue=queue) for _ in range(jobs)])
    workshop.store.pause("mail", by="somebody", note="the relay is down until the afternoon")
    workshop.store.limit("mail", 2)
    for columns in (60, 80, 100):
        with terminal("queue", "list", columns=columns) as tty:
            header, *rows = tty.rest().decode().splitlines()
        assert header.split()[:2] == ["QUEUE", "PENDING"], header
        assert header.split()[-2:] == ["LIMIT", "PAUSED"], header
        assert all(len(line) <= columns for line in (header, *rows))
        assert [row.split()[0] for row in rows] == ["default", "mail", rows[2].split()[0]]
        assert ("COMPLETED" in header) == (columns > 60), header
        assert "paused by somebody" in rows[1]
