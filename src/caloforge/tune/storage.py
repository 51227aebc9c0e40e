"""Where a study is kept: a database, or a journal file.

sqlite:///study.db                    a file on this machine (the usual place: DIR/study.db)
journal:study.log                     a file that also does on network drives
postgresql://user@host/database       for several machines
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caloforge.errors import ConfigError, OutputError, one_line

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL = "journal:"

PATIENCE = 10
"""Seconds that a database may take to answer the first time."""


def open_storage(url: str) -> BaseStorage:
    """The storage behind a URL.

    Raises:
        ConfigError: not a URL of a storage, or its driver is not installed.
        OutputError: it cannot be reached or written.
    """
    import sqlalchemy

    with storage_errors(url):
        if url.startswith(JOURNAL):
            file = Path(url.removeprefix(JOURNAL))
            if not file.parent.is_dir():
                raise OutputError(f"--storage {url}: folder '{file.parent}' does not exist")
            return _journal(file, url)
        try:
            driver = sqlalchemy.engine.make_url(url).drivername
        except sqlalchemy.exc.ArgumentError as error:
            raise ConfigError(
                f"--storage {url}: is no storage; write sqlite:///FILE, journal:FILE or "
                "postgresql://USER@HOST/DATABASE"
            ) from error
        options: dict[str, Any] = {"pool_pre_ping": True}
        if driver.startswith(("postgresql", "mysql", "mariadb")):
            options["connect_args"] = {"connect_timeout": PATIENCE}
        try:
            return _database(url, options)
        except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
            raise ConfigError(
                f"--storage {shown(url)}: {one_line(error)} For PostgreSQL: "
                "pip install 'caloforge[postgresql]'"
            ) from error


def _database(url: str, options: dict[str, Any]) -> BaseStorage:
    """Several runners may begin at once, and then trip over each other's new tables."""
    import sqlalchemy
    from optuna.storages import RDBStorage

    for wait in (0.2, 0.5, 1.0, 2.0):
        try:
            return RDBStorage(url, engine_kwargs=options)
        except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError):
            time.sleep(wait)
    return RDBStorage(url, engine_kwargs=options)


def _journal(file: Path, url: str) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        return JournalStorage(JournalFileBackend(str(file)))
    except (OSError, ValueError, KeyError) as error:
        raise OutputError(
            f"--storage {url}: cannot be used ({one_line(error)}); give a file that can be written"
        ) from error


def shown(url: str) -> str:
    """The URL without its password."""
    import sqlalchemy

    if url.startswith(JOURNAL):
        return url
    try:
        return sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return url


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """What the storage's libraries raise inside the block becomes one clear error.

    Raises:
        OutputError: the storage cannot be reached, read or written.
    """
    import sqlalchemy
    from optuna.exceptions import OptunaError

    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, OptunaError) as error:
        cause = getattr(error, "orig", None) or error.__cause__ or error
        cause = getattr(cause, "orig", None) or cause
        raise OutputError(
            f"--storage {shown(url)}: cannot be used ({one_line(cause)[:300]}); check that it is "
            "there and may be written, then give the same command again"
        ) from error


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Optuna says nothing inside the block: what it has to say is in our report."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="optuna")
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
