"""What this machine has, and what to install for what it lacks.

Every check is a small function that returns one :class:`Finding` and imports nothing before it
runs. Importing ``geant4_pybind`` asks a question on the terminal or downloads gigabytes: it is
looked up in the package metadata, never imported.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from caloforge._version import __version__
from caloforge.errors import one_line

if TYPE_CHECKING:
    from caloforge.simulate.geant4.tables import Tables

Status = Literal["ok", "missing", "note"]

CORE = ("numpy", "h5py", "torch", "onnxruntime")
"""Packages without which nothing works."""

PHYSICS = ("electromagnetic physics", "hadronic physics (FTFP_BERT)", "EM options 3 and 4")
"""What Geant4 can simulate once its tables are there."""

_EXTRA = "pip install 'caloforge[{}]'"
_ROOM = 5e9  # bytes; less free disk space than this is worth a remark


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: what was looked at.
        status: ``ok``; ``missing``, with a remedy; or ``note``, a remark that needs no answer.
        detail: what was found.
        remedy: what to type next; empty when there is nothing to do.
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at everything; a check that fails is a finding too."""
    findings = [_guarded(name, check) for name, check in CHECKS.items()]
    try:
        return [*findings, *physics_tables()]
    except Exception as error:
        return [*findings, Finding("physics tables", "note", _failure(error))]


def core_works(findings: Iterable[Finding]) -> bool:
    """Whether every package is there without which nothing works."""
    return not any(row.name in CORE and row.status == "missing" for row in findings)


def python_version() -> Finding:
    """The interpreter and the system."""
    system = f"{platform.system()} {platform.machine()}"
    return Finding("python", "ok", f"{platform.python_version()} on {system}")


def cores() -> Finding:
    """The cores that this process may use."""
    known = hasattr(os, "sched_getaffinity")
    n = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return Finding("cores", "ok", str(n))


def memory() -> Finding:
    """The memory of the machine, or of the container when that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text(encoding="utf-8").strip() if limit.is_file() else ""
    if allowed.isdecimal() and int(allowed) < total:
        return Finding("memory", "ok", f"{_size(int(allowed))} for this job of {_size(total)}")
    return Finding("memory", "ok", _size(total))


def disk() -> Finding:
    """Free space where the command runs."""
    free = shutil.disk_usage(Path.cwd()).free
    if free < _ROOM:
        remedy = "write to a larger disk: cd there, or give -o a path on it"
        return Finding("disk", "note", f"only {_size(free)} free in this folder", remedy)
    return Finding("disk", "ok", f"{_size(free)} free in this folder")


def core_package(name: str) -> Finding:
    """A package without which nothing works: it must import, not only be installed."""
    try:
        module = import_module(name)
    except Exception as error:
        return Finding(name, "missing", _failure(error), f"pip install --force-reinstall {name}")
    return Finding(name, "ok", str(module.__version__))


def torch_build() -> Finding:
    """PyTorch and what it was built for."""
    finding = core_package("torch")
    if finding.status == "missing":
        return finding
    import torch

    build = f"CUDA {torch.version.cuda} build" if torch.version.cuda else "CPU build"
    if torch.version.hip:
        build = f"ROCm {torch.version.hip} build"
    return Finding("torch", "ok", f"{finding.detail}, {build}")


def onnx_providers() -> Finding:
    """ONNX Runtime and where it can run."""
    finding = core_package("onnxruntime")
    if finding.status == "missing":
        return finding
    import onnxruntime

    names = [
        name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()
    ]
    return Finding("onnxruntime", "ok", f"{finding.detail}, providers {', '.join(names)}")


def gpu() -> Finding:
    """Every GPU that torch sees."""
    import torch

    if torch.cuda.is_available():
        devices = [torch.cuda.get_device_properties(k) for k in range(torch.cuda.device_count())]
        found = ", ".join(f"{device.name} {_size(device.total_memory)}" for device in devices)
        return Finding("gpu", "ok", found)
    if shutil.which("nvidia-smi") and not torch.version.cuda:
        remedy = "if there is a GPU, install a CUDA build of torch: https://pytorch.org/get-started"
        return Finding("gpu", "note", "none for this CPU build of torch", remedy)
    return Finding("gpu", "note", "none")


def optional_package(module: str, distribution: str, remedy: str) -> Finding:
    """A package that only some commands need, looked up without importing it."""
    if find_spec(module) is None:
        status: Status = "missing" if remedy else "note"
        return Finding(distribution, status, "not installed (optional)", remedy)
    try:
        return Finding(distribution, "ok", metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return Finding(distribution, "ok", "version unknown")


CHECKS: dict[str, Callable[[], Finding]] = {
    "python": python_version,
    "caloforge": lambda: Finding("caloforge", "ok", __version__),
    "cores": cores,
    "memory": memory,
    "disk": disk,
    "numpy": partial(core_package, "numpy"),
    "h5py": partial(core_package, "h5py"),
    "torch": torch_build,
    "gpu": gpu,
    "onnxruntime": onnx_providers,
    "openvino": partial(optional_package, "openvino", "openvino", _EXTRA.format("openvino")),
    "distributed": partial(optional_package, "distributed", "distributed", _EXTRA.format("dask")),
    "geant4-pybind": partial(
        optional_package, "geant4_pybind", "geant4-pybind", _EXTRA.format("geant4")
    ),
    "fastapi": partial(optional_package, "fastapi", "fastapi", _EXTRA.format("serve")),
    "pyhepmc": partial(optional_package, "pyhepmc", "pyhepmc", _EXTRA.format("hepmc")),
    "psycopg": partial(optional_package, "psycopg", "psycopg", _EXTRA.format("postgresql")),
}
"""Every check by the name of its finding, in the order of the report."""


def physics_tables() -> list[Finding]:
    """Geant4's physics tables: where each set was found, and which physics can run with them."""
    from caloforge.simulate.geant4 import tables

    folders = tables.find_folders()
    findings = [Finding(variable, "ok", str(folder)) for variable, folder in folders.items()]
    own = os.environ.get(tables.OWN_VARIABLE)
    if own and not any(folder.is_relative_to(Path(own).absolute()) for folder in folders.values()):
        findings.append(Finding(tables.OWN_VARIABLE, "note", f"{own} holds no physics tables"))
    unneeded = ", ".join(variable for variable in tables.OPTIONAL if variable not in folders)
    if folders and unneeded:
        findings.append(Finding("other tables", "note", f"not here, not needed: {unneeded}"))
    if not tables.ELECTROMAGNETIC.keys() <= folders.keys():
        absent = "G4EMLOW or G4ENSDFSTATE is not here" if folders else "no physics tables"
        remedy = tables.how_to_get(hadronic=True)
        return [*findings, *(Finding(name, "missing", absent, remedy) for name in PHYSICS)]
    return [*findings, *_physics(tables.Tables(folders))]


def _physics(found: Tables) -> Iterator[Finding]:
    """Which physics can run, once the electromagnetic tables are there."""
    from caloforge.simulate.geant4.tables import how_to_get

    electromagnetic, hadronic, option4 = PHYSICS
    yield Finding(electromagnetic, "ok", f"tables ready, photoelectric: {found.photoelectric}")
    if found.hadronic:
        yield Finding(hadronic, "ok", "tables ready")
    else:
        yield Finding(hadronic, "missing", "G4PARTICLEXS is not here", how_to_get(hadronic=True))
    if found.relaxation:
        yield Finding(option4, "ok", "tables ready")
    else:
        yield Finding(option4, "missing", "no atomic relaxation in this G4EMLOW", how_to_get())


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:
        return Finding(name, "note", _failure(error))


def _failure(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"


def _size(n: float) -> str:
    return f"{n / 1e9:.1f} GB"
