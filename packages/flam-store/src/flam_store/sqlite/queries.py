"""The engine's statements, from the named sections of ``queries.sql``."""

from __future__ import annotations

import re
from typing import Final


def packaged_text(name: str) -> str:
    """A text file of this package, also when the package lies in a zip file."""
    loader, folder = __spec__.loader, __file__.rpartition("/")[0]
    text: bytes = loader.get_data(f"{folder}/{name}")  # type: ignore[union-attr]
    return text.decode()


def sections(text: str) -> dict[str, str]:
    """``-- name: x`` and what follows it, by name."""
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


SQL: Final = sections(packaged_text("queries.sql"))
