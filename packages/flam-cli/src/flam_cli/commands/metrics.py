"""``queuectl metrics``: the queue as Prometheus reads it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

import attrs

from flam_cli import sightings
from flam_cli.declaring import Context, Option, examples, new_app
from flam_cli.options import Call, Json, call_of
from flam_cli.place import existing
from flam_cli.render import machine
from flam_store.errors import SpecError
from flam_store.metrics import Family, Moment, families, text

app = new_app()


@app.command(
    epilog=examples("queuectl metrics", "queuectl metrics --file /var/lib/node_exporter/flam.prom")
)
def metrics(
    context: Context,
    file: Annotated[
        str | None,
        Option(
            "--file",
            metavar="PATH",
            help="Write it there, at once and readable for all, and nothing to standard output.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Print numbers for Prometheus, in its text format 0.0.4."""
    call = call_of(context, json=json)
    found = _families(call)
    if file is not None:
        _replace(file, text(found).encode())
    if call.json:
        machine.array(map(attrs.asdict, found))
    elif file is None:
        sys.stdout.buffer.write(text(found).encode())


def _families(call: Call) -> tuple[Family, ...]:
    from flam_cli import __version__

    with existing(call).store() as store:
        seen = Counter((it.record.process.host, it.state) for it in sightings.workers(store))
        moment = Moment(
            overview=store.overview(),
            totals=store.totals(),
            workers=seen,
            now=datetime.now(UTC),
            version=__version__,
        )
    return families(moment)


def _replace(path: str, page: bytes) -> None:
    """A reader sees the page before or this one, whole. Numbers are no secret, so all may read."""
    from tempfile import mkstemp

    try:
        fd, beside = mkstemp(dir=os.path.dirname(path) or ".", prefix=".flam-metrics-")
        try:
            with open(fd, "wb") as written:
                os.fchmod(fd, 0o644)  # whatever the umask
                written.write(page)
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SpecError(f"{path}: {reason}", field="--file") from error
