"""The command that holds all others; only the one that is called is imported."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand

from flam_cli.building import Group, as_typer_has_it, built, new_typer
from flam_cli.declaring import examples
from flam_cli.global_options import queuectl

SUMMARIES = {
    "init": "Make a data directory for this project.",
    "enqueue": "Store jobs and print their ids.",
    "run": "Enqueue a job, wait for it, and print what its attempts write as it comes.",
    "worker": "The processes that run the jobs.",
    "status": "Count the jobs of every state.",
    "top": "Watch the queue: counts, rates, workers with their jobs, and what ended last.",
    "list": "List jobs, the newest first unless told otherwise.",
    "show": "Show one job with every attempt, its parents and its children.",
    "why": "Say why a job has not started, and what to do about it.",
    "logs": "Print what an attempt of a job wrote.",
    "wait": "Wait until jobs are finished: completed, dead or cancelled.",
    "update": "Change jobs that are pending, blocked or failed.",
    "cancel": "End jobs that wait or run.",
    "retry": "Make jobs pending again with 0 attempts, or due now.",
    "dlq": "The dead letters: jobs that are not retried any more.",
    "queue": "The queues: pause, resume and limit them, over all workers.",
    "schedule": "Jobs that are enqueued again and again, by the workers that run.",
    "purge": "Delete finished jobs and their output, for good.",
    "stats": "Count attempts and failures, and measure how long they waited and ran.",
    "metrics": "Print numbers for Prometheus, in its text format 0.0.4.",
    "config": "Defaults of later jobs, and the workers' limits.",
    "doctor": "Check everything, and say what is wrong and how to mend it; exit with 1 on a fault.",
    "backup": "Copy the queue, as it is at this moment, into one file.",
    "restore": "Put a backup in the place of the queue, which is kept beside it.",
    "export": "Write jobs with their attempts as lines of JSON, the oldest first.",
    "import": "Store exported jobs with their ids, states and attempts; all of them, or none.",
}
"""Every command with the first sentence of its help: to list them, none has to be imported."""

NAMES = tuple(SUMMARIES)


class _Root(Group):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(NAMES)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        room = formatter.width - 6 - max(map(len, NAMES))
        told = {name: TyperCommand(name, help=text) for name, text in SUMMARIES.items()}
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(room)) for name, each in told.items()]
            )

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in NAMES:
            return None
        command = built(import_module(f"flam_cli.commands.{cmd_name}").app)
        command.name = cmd_name
        return command


def root() -> Any:
    """The command that ``queuectl`` is."""
    app = new_typer(
        add_completion=True, cls=_Root, context_settings={"help_option_names": ["-h", "--help"]}
    )
    app.callback(
        epilog=examples(
            "queuectl enqueue -- convert in.png out.png",
            "queuectl worker start --count 4",
            "queuectl status",
        )
    )(as_typer_has_it(queuectl))
    return typer.main.get_command(app)
