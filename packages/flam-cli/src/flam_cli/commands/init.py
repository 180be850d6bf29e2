"""``queuectl init``: a data directory for a project."""

from __future__ import annotations

import os

from flam_cli.declaring import Context, examples, new_app
from flam_cli.options import Json, call_of
from flam_cli.place import home_of
from flam_cli.render import human, machine
from flam_store.errors import ConfigError, StoreError
from flam_store.home import PROJECT_DIRECTORY, Home, working_directory

app = new_app()


@app.command(epilog=examples("queuectl init", "queuectl --home /srv/jobs init"))
def init(context: Context, json: Json = False) -> None:
    """Make a data directory for this project.

    It is .queuectl_data here, or the one that --home names. Commands here and below then use it.
    Doing it again changes nothing.
    """
    call = call_of(context, json=json)
    home = _project_home() if call.home is None else home_of(call)
    existed = home.path.is_dir()
    home.ensure()
    if not existed and call.home is None:
        _keep_out_of_git(home)
    if call.json:
        machine.document({"path": str(home.path), "created": not existed})
    elif existed:
        human.line(f"{home.path} exists already.")
    else:
        human.line(str(home.path))


def _project_home() -> Home:
    here = working_directory()
    if here is None:
        raise ConfigError("the working directory is gone; name a directory with --home")
    return Home(path=here / PROJECT_DIRECTORY)


def _keep_out_of_git(home: Home) -> None:
    """Jobs and their output belong into no repository."""
    path = home.path / ".gitignore"
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write("*\n")
    except OSError as error:
        raise StoreError(str(path), f"cannot be written: {error.strerror}.") from error
