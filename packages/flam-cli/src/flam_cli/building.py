"""Typer's commands, made of what commands declare."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

from flam_cli.declaring import (
    App,
    Argument,
    Command,
    Context,
    Option,
    command_of,
    split_off_command,
)


class Group(TyperGroup):
    """A group that shows its help for ``help`` and for no command, and suggests one for another."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            print(ctx.get_help(), file=sys.stderr)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = tuple(self.list_commands(ctx))
        if args[0] == "help" and not ctx.resilient_parsing:
            return self._resolve_help(ctx, args[1:])
        if args[0] not in known and not ctx.resilient_parsing:
            from flam_cli.errors import UsageError, unknown_command

            raise UsageError(unknown_command(args[0], known))
        return super().resolve_command(ctx, args)

    def _resolve_help(self, ctx: Any, args: list[str]) -> Any:
        # Behind a -- the option would belong to a job's command, and that be enqueued.
        names = [word for word in args if word != "help" and not word.startswith("-")]
        if names:
            return self.resolve_command(ctx, [*names, "--help"])
        print(ctx.get_help())
        return ctx.exit()


class _WithCommand(TyperCommand):
    """What follows the first ``--`` is the job's command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = split_off_command(ctx, args)
        seems_a_command = command_of(ctx) is None and bool(args) and args[0][:1] not in "-{["
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if seems_a_command:
                error.add_note("(a command stands behind --, as in: -- ls -la)")
            raise


def built(app: App) -> Any:
    """The command, or the group of them, that a module declares."""
    group = new_typer(**app.settings)
    for command in app.commands:
        settings = dict(command.settings)
        if command.takes_command:
            settings["cls"] = _class_of(command)
        group.command(command.name, **settings)(as_typer_has_it(command.function))
    return typer.main.get_command(group)


def new_typer(**settings: Any) -> typer.Typer:
    """A Typer application whose help and errors are plain text."""
    plain: dict[str, Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False}
    return typer.Typer(**plain, **{"add_completion": False, "cls": Group, **settings})


def as_typer_has_it(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its parameters in Typer's terms."""

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    declared = inspect.signature(function, eval_str=True).parameters.values()
    told = [each.replace(annotation=_told(each.annotation)) for each in declared]
    described: Any = called
    described.__signature__ = inspect.Signature(told)
    described.__annotations__ = {each.name: each.annotation for each in told}
    return called


def _told(annotation: Any) -> Any:
    if annotation is Context:
        return typer.Context
    if get_origin(annotation) is not Annotated:
        return annotation
    kind, declared = get_args(annotation)
    match declared:
        case Option():
            return Annotated[kind, typer.Option(*declared.names, **_settings(declared))]
        case Argument():
            return Annotated[kind, typer.Argument(**_settings(declared))]
        case _:
            return annotation


def _settings(declared: Option | Argument) -> dict[str, Any]:
    settings = dict(declared.settings)
    if "autocompletion" in settings:
        settings["autocompletion"] = as_typer_has_it(settings["autocompletion"])
    return settings


def _class_of(command: Command) -> type[TyperCommand]:
    class WithCommand(_WithCommand):
        def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002
            return list(command.takes_command)

    return WithCommand
