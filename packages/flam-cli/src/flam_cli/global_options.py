"""The options that stand before the command."""

from __future__ import annotations

from typing import Annotated

from flam_cli.declaring import Context, Option


def _print_version(wanted: bool) -> None:
    if wanted:
        import typer

        from flam_cli import __version__

        print(f"queuectl {__version__}")
        raise typer.Exit


def queuectl(
    context: Context,
    home: Annotated[
        str | None,
        Option(
            metavar="DIR",
            help="The data directory. Otherwise $FLAM_HOME, the nearest .queuectl_data here or "
            "above, or the user's own.",
        ),
    ] = None,
    json: Annotated[
        bool, Option("--json", help="Print one JSON document; also taken after the command.")
    ] = False,
    debug: Annotated[bool, Option("--debug", help="Show the traceback of an error.")] = False,
    _version: Annotated[
        bool,
        Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """A durable job queue: enqueue commands, run them with workers, retry what fails."""
    from flam_cli.options import Call

    context.obj = Call(home=home, json=json, debug=debug)
