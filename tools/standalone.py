#!/usr/bin/env python3
"""Builds flam-worker for hosts without pip: a folder with everything, and one file for a Python.

It is run by an interpreter with flam-worker, PyInstaller, shiv and pip, and no more: what is
installed beside them could get into the folder. SHA256SUMS is for ``sha256sum -c``.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

PROGRAM = "flam-worker"
BUNDLED = ("flam-worker", "flam-store", "attrs", "cattrs", "platformdirs", "psutil")
UNUSED = ("_ssl", "bz2", "lzma", "multiprocessing", "unittest")


def main(wheels: Path, out: Path) -> int:
    """Build both from the wheels in one folder into the other."""
    (wheel,) = wheels.glob("flam_worker-*.whl")
    stem = f"{PROGRAM}-{wheel.name.split('-')[1]}-{platform_name()}"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        folder = build_folder(Path(work))
        pack(folder, out / f"{stem}.tar.gz", stem)
        build_file(Path(work), wheels, out / f"{stem}.pyz")
    made = [out / f"{stem}.pyz", out / f"{stem}.tar.gz"]
    (out / "SHA256SUMS").write_text("".join(map(sum_line, made)))
    for path in made:
        print(f"{path.stat().st_size:>10} {path}")
    return 0


def platform_name() -> str:
    """The system and the processor that it was built on, which it runs on."""
    system = "macos" if sys.platform == "darwin" else sys.platform
    return f"{system}-{platform.machine()}"


def build_folder(work: Path) -> Path:
    """A folder with the executable, Python itself and all that is imported."""
    words = ["--onedir", "--strip", "--noconfirm", "--log-level=ERROR", f"--name={PROGRAM}"]
    words += [f"--distpath={work}", f"--specpath={work}", f"--workpath={work / 'build'}"]
    words += [f"--copy-metadata={name}" for name in BUNDLED]  # the licences
    words += [f"--collect-data={name}" for name in ("flam_store", "flam_worker")]
    words += [f"--exclude-module={name}" for name in UNUSED]
    script = Path(sysconfig.get_path("scripts")) / PROGRAM
    run("PyInstaller", *words, str(script), env={"PYTHONHASHSEED": "0"})
    folder = work / PROGRAM
    forget_origin(folder)
    return folder


def build_file(work: Path, wheels: Path, file: Path) -> None:
    """One file that unpacks itself for whatever Python runs it: psutil is no pure Python."""
    site = work / "site"
    needed = [*wheels.glob("flam_store-*.whl"), *wheels.glob("flam_worker-*.whl")]
    run("pip", "install", "--quiet", "--no-compile", f"--target={site}", *map(str, needed))
    forget_origin(site)
    shutil.rmtree(site / "bin", ignore_errors=True)
    run("shiv", "--reproducible", "--compressed", f"--site-packages={site}",
        "--python=/usr/bin/env python3", "--entry-point=flam_worker.__main__:main",
        f"--output-file={file}")  # fmt: skip


def forget_origin(folder: Path) -> None:
    """Take out where on this machine the packages were installed from, and its checksum."""
    for name in ("direct_url.json", "RECORD"):
        for path in folder.rglob(name):
            path.unlink()


def pack(folder: Path, archive: Path, root: str) -> None:
    """The same folder at another time gives the same archive, with SOURCE_DATE_EPOCH."""
    at = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))

    def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = at
        member.mode = 0o755 if member.mode & 0o100 else 0o644
        return member

    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=at) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        tar.add(folder, root, filter=anonymous)  # in the order of names


def sum_line(path: Path) -> str:
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"


def run(module: str, *words: str, env: dict[str, str] | None = None) -> None:
    """Run a tool of this interpreter's."""
    subprocess.run([sys.executable, "-m", module, *words], check=True,
                   env={**os.environ, **(env or {})})  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: standalone.py WHEELS OUT")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
