"""Who gives an order, for others to see."""

from __future__ import annotations

import os


def whoami() -> str:
    """The user and the host."""
    import pwd

    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = f"uid {os.geteuid()}"
    return f"{name}@{os.uname().nodename}"
