"""The short way in calls what Typer would call, or leaves it to Typer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flam_cli import plain
from flam_cli.building import built
from flam_cli.declaring import Argument, Command, Option, command_of
from flam_cli.root import SUMMARIES, root

Called = tuple[dict[str, Any], Any, tuple[str, ...] | None]

GOOD = st.sampled_from([["--json"], ["--debug"], ["--home", "there"], ["--home", ""]])
BAD = st.sampled_from([["--home=there"], ["-h"], ["--version"], ["--home"], ["--"]])
GLOBAL = st.lists(st.one_of(*[GOOD] * 5, BAD), max_size=2)
VALUES = st.sampled_from(
    ["x", "a b", "", "-", "--", "-3", "3", "0", "255", "256", "007", "+3", " 3", "3 ", "1_0", "٣",
     "--3", "9" * 18, "9" * 19, "1.5", "none", "K=V", "--json", "--queue", "-x", "--help",
     "\udcff", "é", "{}", "=", "--limit=3"]
)  # fmt: skip


def the_command(name: str) -> Command:
    (command,) = import_module(f"flam_cli.commands.{name}").app.commands
    assert isinstance(command, Command)
    return command


def parameters(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(the_command(name).function, eval_str=True).parameters)


def options(name: str) -> dict[str, Any]:
    """The kind of value that each word of an option takes."""
    found = {}
    for each in parameters(name).values():
        (declared, *_) = getattr(each.annotation, "__metadata__", (None,))
        if isinstance(declared, Option):
            for word in declared.names or (f"--{each.name.replace('_', '-')}",):
                found[word] = each.annotation.__origin__
    return found


@st.composite
def calls(draw: st.DrawFn) -> list[str]:
    name = draw(st.sampled_from(plain.COMMANDS))
    kinds = options(name)
    option = st.sampled_from([*kinds])
    usual = st.builds(
        lambda word, value: (word,) if kinds[word] is bool else (word, value), option, VALUES
    )
    odd = st.one_of(
        st.tuples(option),
        st.tuples(VALUES),
        st.tuples(option, VALUES),
        st.builds(lambda word, value: (f"{word}={value}",), option, VALUES),
    )
    pieces = st.lists(st.one_of(*[usual] * 6, odd), max_size=5, unique_by=lambda piece: piece[0])
    words = [word for piece in draw(pieces) for word in piece]
    before = [word for piece in draw(GLOBAL) for word in piece]
    arguments = draw(st.sampled_from([[], [], ["a"], ["a", "b"]]))
    behind = draw(st.sampled_from([[], [], ["--", "true"], ["--", "a", "--", "-b"], ["--"]]))
    return [*before, name, *arguments, *words, *behind]


@contextmanager
def noted(name: str) -> Iterator[list[Called]]:
    """Calls of the command, which does nothing."""
    command = the_command(name)
    function, made = command.function, []
    bound = inspect.signature(function)

    def note(context: Any, **values: Any) -> None:
        whole = bound.bind(context, **values)
        whole.apply_defaults()
        del whole.arguments["context"]
        made.append((whole.arguments, context.obj, command_of(context)))

    note.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    command.function = note
    try:
        yield made
    finally:
        command.function = function


def by_typer(words: list[str]) -> None:
    with root().make_context("queuectl", list(words)) as context:
        context.command.invoke(context)


@settings(max_examples=300)
@given(calls())
def test_a_plain_call_is_the_one_that_typer_would_make(words: list[str]) -> None:
    called = plain.understood(words)
    if called is None:
        return
    (name,) = {*words}.intersection(plain.COMMANDS)
    with noted(name) as made:
        again = plain.understood(words)
        assert again is not None
        again.run()
        by_typer(words)
    assert made[0] == made[1]
    assert called.debug == made[1][1].debug


PLAIN = [
    ["enqueue", "--", "true"],
    ["--home", "there", "--json", "enqueue", "--priority", "-3", "--", "ls", "--", "-l"],
    ["enqueue", '{"command": "true"}', "--label", "a=b", "--label", "c=d", "--if-absent"],
    ["enqueue", "-", "--json"],
    ["enqueue", "--file", "-"],
    ["--debug", "status"],
    ["status", "--json"],
    ["list"],
    ["list", "--state", "dead", "--state", "failed", "--limit", "0", "--failed-with", "255"],
    ["show", "a"],
    ["wait", "a", "--timeout", "5m", "b", "--any"],
]  # fmt: skip


@pytest.mark.parametrize("words", PLAIN, ids=" ".join)
def test_what_scripts_repeat_is_plain(words: list[str]) -> None:
    test_a_plain_call_is_the_one_that_typer_would_make.hypothesis.inner_test(words)  # type: ignore[attr-defined]
    assert plain.understood(words) is not None


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--version"],
        ["--help"],
        ["-h"],
        ["enqueue", "--help"],
        ["enqueue", "--nope", "--", "true"],
        ["enqueue", "--qu", "x", "--", "true"],
        ["enqueue", "--queue=x", "--", "true"],
        ["enqueue", "--queue"],
        ["enqueue", "--queue", "--", "true"],
        ["enqueue", "--queue", "x", "--queue", "y", "--", "true"],
        ["enqueue", "--priority", "high", "--", "true"],
        ["enqueue", "a", "b"],
        ["--json", "--nope", "status"],
        ["--version", "status"],
        ["status", "x"],
        ["list", "--limit", "-1"],
        ["list", "--failed-with", "256"],
        ["show"],
        ["show", "a", "b"],
        ["wait"],
        ["worker", "list"],
        ["doctor"],
        ["statsu"],
    ],
    ids=" ".join,
)
def test_what_is_not_plain_is_left_to_typer(words: list[str]) -> None:
    assert plain.understood(words) is None


@pytest.mark.parametrize("name", plain.COMMANDS)
def test_each_parameter_can_be_read_without_typer(name: str) -> None:
    kinds = {str, str | None, int, int | None, bool, list[str], list[str] | None}
    for each in [*parameters(name).values()][1:]:
        (declared,) = each.annotation.__metadata__
        assert each.annotation.__origin__ in kinds
        assert declared.settings.keys() <= plain.KNOWN_SETTINGS
        if isinstance(declared, Argument):
            assert each.annotation.__origin__ not in {int, int | None, bool}


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_list_of_commands_says_what_their_own_help_begins_with(name: str) -> None:
    command: Any = built(import_module(f"flam_cli.commands.{name}").app)
    assert command.get_short_help_str(1_000) == SUMMARIES[name]


def test_a_call_in_this_process_leaves_its_collector_alone(
    queuectl: Callable[..., Any],
) -> None:
    import gc

    before = gc.get_threshold(), gc.get_freeze_count()
    assert queuectl("status").code == 0
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
