"""A small disk that can be filled, and be given room again."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import attrs

from chaos.namespaces import mount


@attrs.frozen
class Disk:
    """A file system of its own at ``place``: so many bytes, so many files."""

    place: Path

    @classmethod
    def at(cls, place: Path, *, size: str = "8m", files: int = 1000) -> Disk:
        """Mount one, empty and private; only in a test with its own mounts."""
        place.mkdir(mode=0o700, exist_ok=True)
        mount("tmpfs", place, f"size={size},nr_inodes={files},mode=700")
        return cls(place)

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self.place)
        return found.f_bavail * found.f_frsize

    def fill(self, leave_bytes: int = 0) -> None:
        """Use up all room but so much."""
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while (left := self.free_bytes - leave_bytes) > 0:
                file.write(bytes(min(left, 1 << 20)))

    def fill_files(self) -> None:
        """Use up the room for files: none can be made, those that are may grow."""
        folder = self.place / "files"
        folder.mkdir(exist_ok=True)
        with suppress(OSError):
            for number in range(1_000_000):
                (folder / str(number)).touch()

    def make_room(self) -> None:
        self._ballast.unlink(missing_ok=True)
        for path in (self.place / "files").glob("*"):
            path.unlink()

    @property
    def _ballast(self) -> Path:
        return self.place / "ballast"
