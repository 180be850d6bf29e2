"""``queuectl config``: what holds where a job's spec says nothing."""

from __future__ import annotations

from typing import Annotated

from flam_cli.completion import complete_key
from flam_cli.declaring import Argument, Context, examples, new_app
from flam_cli.options import Json, call_of
from flam_cli.place import existing, home_of, made
from flam_cli.render import human, machine
from flam_store.config import KEYS, Config, Value, key_named
from flam_store.config_file import explicit, set_value, unset_value
from flam_store.config_words import in_words
from flam_store.opening import without_password

app = new_app(
    help="Defaults of later jobs, and the workers' limits.",
    epilog=examples(
        "queuectl config set max-retries 5",
        "queuectl config set keep-completed 30d",
        "queuectl config show",
    ),
)

Key = Annotated[
    str,
    Argument(
        metavar="KEY", autocompletion=complete_key, help="Such as max_retries or max-retries."
    ),
]


@app.command(epilog=examples("queuectl config show"))
def show(context: Context, json: Json = False) -> None:
    """Show every key with its value. A password in store_url is masked."""
    call = call_of(context, json=json)
    place = existing(call)
    values = {key: _shown(key, place.config) for key in KEYS}
    if call.json:
        machine.document(values)
        return
    told = explicit(place.home.config_path)
    human.table(
        ("KEY", "VALUE", "FROM"),
        [(key, in_words(key, values[key]), "set" if key in told else "default") for key in KEYS],
    )


@app.command(epilog=examples("queuectl config get max_retries"))
def get(context: Context, key: Key, json: Json = False) -> None:
    """Print the value of one key, a time in seconds and a size in bytes; none for no value."""
    call = call_of(context, json=json)
    name = key_named(key)
    _answer(call.json, getattr(existing(call).config, name))


@app.command(
    "set",
    context_settings={"ignore_unknown_options": True},
    epilog=examples("queuectl config set max-retries 5", "queuectl config set timeout 10m"),
)
def set_(
    context: Context,
    key: Key,
    value: Annotated[str, Argument(metavar="VALUE", help="A number, 90s, 64MiB, a URL or none.")],
    json: Json = False,
) -> None:
    """Set one key. Jobs that are stored already keep what they were given."""
    call = call_of(context, json=json)
    name = key_named(key)
    _confirm(call.json, name, set_value(made(call).home.config_path, name, value))


@app.command(epilog=examples("queuectl config unset timeout"))
def unset(context: Context, key: Key, json: Json = False) -> None:
    """Take one key out of the file, so that its default holds."""
    call = call_of(context, json=json)
    name = key_named(key)
    home = home_of(call)
    home.check()
    if not home.config_path.exists() and not home.config_path.is_symlink():
        _confirm(call.json, name, Config())
    else:
        _confirm(call.json, name, unset_value(home.config_path, name))


def _confirm(json: bool, key: str, config: Config) -> None:
    if json:
        machine.document({key: _shown(key, config)})
    else:
        human.line(f"{key} = {in_words(key, _shown(key, config))}")


def _answer(json: bool, value: Value) -> None:
    if json:
        machine.document(value)
    else:
        human.line("none" if value is None else str(value))


def _shown(key: str, config: Config) -> Value:
    value: Value = getattr(config, key)
    return without_password(value) if key == "store_url" and isinstance(value, str) else value
