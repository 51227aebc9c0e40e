"""A PostgreSQL server of our own, in a folder, for as long as a test takes."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "secret-of-the-test"


def _programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of an empty database; the test is skipped where PostgreSQL or its driver is missing.

    The server refuses to run as root: there it runs as the user ``postgres``.
    """
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    user: str | None = None
    if os.geteuid() == 0:
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")
        user = "postgres"
        for place in (folder, *folder.parents):
            if place == Path("/tmp"):
                break
            place.chmod(place.stat().st_mode | 0o011)
        os.chown(folder, account.pw_uid, account.pw_gid)
    (folder / "password").write_text(PASSWORD)
    data, port = folder / "data", _free_port()

    def call(program: str, *words: str, check: bool = True) -> None:
        command = [str(programs / program), *words]
        quiet = subprocess.DEVNULL
        subprocess.run(command, check=check, cwd="/", stdout=quiet, user=user)

    secret = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--username=me"]
    call("initdb", f"--pgdata={data}", "--no-sync", "--no-locale", "--encoding=UTF8", *secret)
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    call("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-D", str(data), "-m", "immediate", "stop", check=False)
