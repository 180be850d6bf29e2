from __future__ import annotations

import sys

import pytest
from jobs import claim

from flam_worker.environment import COOKIE, cookie, inherited, job_environment

PLAIN = {"PATH": "/bin", "LANG": "C.UTF-8", "HOME": "/home/someone", "PGHOST": "db", "PGUSER": "u"}


def passed(name: str, value: str = "x") -> bool:
    """Whether a variable of the worker reaches its jobs."""
    return job_environment(claim(), inherited({**PLAIN, name: value})).get(name) == value


def test_a_job_knows_which_one_it_is() -> None:
    made = job_environment(claim(attempt=4, id="thumb-17", queue="images"), inherited({}))
    assert made == {
        "FLAM_JOB_ID": "thumb-17", "FLAM_ATTEMPT": "4", "FLAM_QUEUE": "images",
        COOKIE: cookie(claim(attempt=4)),
    }  # fmt: skip


def test_what_the_worker_has_passes_on() -> None:
    made = job_environment(claim(), inherited(PLAIN))
    assert {name: made[name] for name in PLAIN} == PLAIN


def test_the_worker_s_own_environment_stays_as_it_is() -> None:
    worker = {**PLAIN, "FLAM_STORE_URL": "secret", "LD_LIBRARY_PATH_ORIG": "/x"}
    before = dict(worker)
    job_environment(claim(env={"PATH": "/other"}), inherited(worker))
    assert worker == before


@pytest.mark.parametrize(
    "name",
    ["FLAM_STORE_URL", "FLAM_TOKEN", "FLAM_ANYTHING_LATER", "PGPASSWORD", "PGPASSFILE",
     "PGSSLPASSWORD", "PGSERVICEFILE"],
)  # fmt: skip
def test_no_secret_passes_on(name: str) -> None:
    assert not passed(name)


@pytest.mark.parametrize(
    "name",
    ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID",
     "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM", "MAINPID", "SYSTEMD_EXEC_PID"],
)  # fmt: skip
def test_nothing_of_a_service_manager_passes_on(name: str) -> None:
    assert not passed(name)


@pytest.mark.parametrize(
    "name",
    ["_PYI_ARCHIVE_FILE", "_PYI_PARENT_PROCESS_LEVEL", "_PYI_APPLICATION_HOME_DIR", "_MEIPASS2",
     "PYINSTALLER_RESET_ENVIRONMENT", "PEX", "PEX_ROOT", "PEX_PATH", "__PEX_UNVENDORED__",
     "SHIV_ROOT"],
)  # fmt: skip
def test_nothing_of_a_bundle_passes_on(name: str) -> None:
    assert not passed(name)


@pytest.mark.parametrize(
    "name", ["PEXELS_API_KEY", "NOTIFY", "MY_FLAM_HOME", "PGHOST", "XPEX", "LISTEN", "WATCHDOG"]
)
def test_what_only_looks_like_it_passes_on(name: str) -> None:
    assert passed(name)


def test_the_data_directory_passes_on() -> None:
    assert passed("FLAM_HOME", "/srv/flam")


def test_the_spec_goes_before_what_is_inherited() -> None:
    made = job_environment(
        claim(env={"PATH": "/opt/bin", "NEW": "", "PGPASSWORD": "own"}), inherited(PLAIN)
    )
    assert (made["PATH"], made["NEW"], made["PGPASSWORD"]) == ("/opt/bin", "", "own")


def test_no_spec_can_hide_which_job_it_is() -> None:
    names = ("FLAM_JOB_ID", "FLAM_ATTEMPT", "FLAM_QUEUE", COOKIE)
    made = job_environment(claim(env=dict.fromkeys(names, "forged")), inherited(PLAIN))
    assert "forged" not in made.values()


def test_what_an_outer_job_was_given_does_not_reach_an_inner_one() -> None:
    outer = job_environment(claim(attempt=3, worker="outer", id="outer"), inherited(PLAIN))
    assert job_environment(claim(id="inner"), inherited(outer)) == job_environment(
        claim(id="inner"), inherited(PLAIN)
    )


def test_a_cookie_is_another_for_every_attempt() -> None:
    held = [claim(), claim(attempt=2), claim(worker="worker-2"), claim(seq=8), claim(seq=71)]
    assert len({cookie(each) for each in held}) == len(held)


def test_a_frozen_worker_gives_back_the_search_path_that_its_bundle_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    bundled = {"LD_LIBRARY_PATH": "/bundle", "LD_LIBRARY_PATH_ORIG": "/usr/local/lib"}
    made = job_environment(claim(), inherited({**PLAIN, **bundled}))
    assert made["LD_LIBRARY_PATH"] == "/usr/local/lib"
    assert "LD_LIBRARY_PATH_ORIG" not in made


@pytest.mark.parametrize("name", ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH"])
@pytest.mark.parametrize("original", [{}, {"_ORIG": ""}])
def test_a_frozen_worker_passes_on_no_search_path_where_there_was_none(
    monkeypatch: pytest.MonkeyPatch, name: str, original: dict[str, str]
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    bundled = {name: "/bundle"} | {name + ending: value for ending, value in original.items()}
    assert not set(job_environment(claim(), inherited({**PLAIN, **bundled}))) & {
        name,
        f"{name}_ORIG",
    }


def test_a_worker_that_is_not_frozen_leaves_search_paths_alone() -> None:
    assert passed("LD_LIBRARY_PATH", "/opt/lib")
    assert passed("LD_LIBRARY_PATH_ORIG", "/opt/lib")
