"""The files by which shells complete the words of queuectl, as the program itself prints them."""

from __future__ import annotations

import os
import subprocess
import sys

PLACES = {
    "bash": "bash-completion/completions/queuectl",
    "zsh": "zsh/site-functions/_queuectl",
    "fish": "fish/vendor_completions.d/queuectl.fish",
}
"""Where each shell looks, below ``share``."""

_REGISTERS = "compdef _queuectl_completion queuectl"
_ANSWERS = '_queuectl_completion "$@"'
"""A file in fpath is the function itself: zsh registers it by its first line, and calls it."""


def script(shell: str) -> str:
    """What a shell reads."""
    environ = {**os.environ, "_QUEUECTL_COMPLETE": f"source_{shell}"}
    words = [sys.executable, "-m", "flam_cli"]
    printed = subprocess.run(words, env=environ, check=True, capture_output=True, text=True).stdout
    text = printed.strip() + "\n"
    return text.replace(_REGISTERS, _ANSWERS) if shell == "zsh" else text
