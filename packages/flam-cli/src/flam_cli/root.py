"""The command that holds all others; only the one that is called is imported."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from flam_cli.errors import UsageError, unknown_word
from flam_cli.options import Call

NAMES = (
    *("init", "enqueue", "run", "worker", "status", "top", "list", "show", "why", "logs", "wait"),
    *("update", "cancel", "retry", "dlq", "queue", "schedule", "purge", "stats", "metrics"),
    *("config", "doctor", "backup", "restore", "export", "import"),
)


class Group(TyperGroup):
    """A group that shows its help when no command is given, and suggests one for a wrong word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            print(ctx.get_help(), file=sys.stderr)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = tuple(self.list_commands(ctx))
        if args[0] not in known and not ctx.resilient_parsing:
            raise UsageError(unknown_word("command", args[0], known))
        return super().resolve_command(ctx, args)


class _Root(Group):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(NAMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in NAMES:
            return None
        command = typer.main.get_command(import_module(f"flam_cli.commands.{cmd_name}").app)
        command.name = cmd_name
        return command


def new_app(**settings: Any) -> typer.Typer:
    """A Typer application whose help and errors are plain text."""
    plain: dict[str, Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False}
    return typer.Typer(**plain, **{"add_completion": False, "cls": Group, **settings})


def examples(*words: str) -> str:
    """The end of a command's help: lines to copy, which are not wrapped."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in words)


_app = new_app(
    add_completion=True, cls=_Root, context_settings={"help_option_names": ["-h", "--help"]}
)


def root() -> Any:
    """The command that ``queuectl`` is."""
    return typer.main.get_command(_app)


def _print_version(wanted: bool) -> None:
    if wanted:
        from flam_cli import __version__

        print(f"queuectl {__version__}")
        raise typer.Exit


@_app.callback(
    epilog=examples(
        "queuectl enqueue -- convert in.png out.png",
        "queuectl worker start --count 4",
        "queuectl status",
    )
)
def queuectl(
    context: typer.Context,
    home: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="The data directory. Otherwise $FLAM_HOME, the nearest .queuectl_data here or "
            "above, or the user's own.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document; also taken after the command.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """A durable job queue: enqueue commands, run them with workers, retry what fails."""
    context.obj = Call(home=home, json=json, debug=debug)
