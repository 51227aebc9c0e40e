"""Where Geant4's physics tables are: found, never downloaded, never asked for.

Geant4 reads cross sections from a dozen data sets, each in a folder of its own that an environment
variable names. Electromagnetic physics opens the first two; hadronic physics a third one too.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from caloforge.errors import SimulationError

ELECTROMAGNETIC = {"G4LEDATA": "G4EMLOW", "G4ENSDFSTATEDATA": "G4ENSDFSTATE"}
"""Variable and folder name of the sets without which nothing runs."""

HADRONIC = {"G4PARTICLEXSDATA": "G4PARTICLEXS"}
"""What FTFP_BERT needs besides."""

OPTIONAL = {
    "G4LEVELGAMMADATA": "PhotonEvaporation",
    "G4NEUTRONHPDATA": "G4NDL",
    "G4RADIOACTIVEDATA": "RadioactiveDecay",
    "G4PIIDATA": "G4PII",
    "G4REALSURFACEDATA": "RealSurface",
    "G4SAIDXSDATA": "G4SAIDDATA",
    "G4ABLADATA": "G4ABLA",
    "G4INCLDATA": "G4INCL",
    "G4CHANNELINGDATA": "G4CHANNELING",
}
"""Sets that may be empty folders; an unset variable would stop Geant4."""

OWN_VARIABLE = "CALOFORGE_GEANT4_DATA"
_URL = "https://cern.ch/geant4-data/datasets"
_EM_FILES = "G4EMLOW.8.8 G4ENSDFSTATE.3.0"
_HADRONIC_FILES = "G4PARTICLEXS.4.2 G4PhotonEvaporation.6.1.2"
_INSTALLED = (("CONDA_PREFIX", "share/Geant4/data"), ("G4INSTALL", "share/Geant4/data"))
_SYSTEM = (
    Path("/usr/local/share/Geant4/data"),
    Path("/usr/share/Geant4/data"),
    Path("/opt/geant4/share/Geant4/data"),
    Path("/opt/geant4/data"),
    # beside a checkout of the repository
    *(above / "shared" / "geant4-data" for above in Path(__file__).resolve().parents[5:6]),
)
_PROBES = {  # in each set, what physics cannot do without, one of each group: half a set is none
    "G4LEDATA": (("brem_SB",), ("epics2017/phot", "livermore/phot_epics2014")),
    "G4ENSDFSTATEDATA": (("ENSDFSTATE.dat",),),
    "G4PARTICLEXSDATA": (("neutron",), ("gamma",)),
}


@dataclass(frozen=True)
class Tables:
    """The folder of every data set that was found, by Geant4's environment variable."""

    folders: Mapping[str, Path]

    @property
    def hadronic(self) -> bool:
        """Whether hadronic physics can run."""
        return all(name in self.folders for name in HADRONIC)

    @property
    def photoelectric(self) -> str:
        """The sub-folder of G4EMLOW that holds the photoelectric tables of this set.

        Geant4 11 reads ``epics2017``; smaller sets hold the older EPICS2014 in ``livermore``.
        """
        new = self.folders["G4LEDATA"] / "epics2017" / "phot"
        return "epics2017" if new.is_dir() else "livermore"

    @property
    def relaxation(self) -> bool:
        """Whether atomic relaxation, which EM option 4 needs, can run."""
        return (self.folders["G4LEDATA"] / "fluor").is_dir()

    def environment(self, empty: Path) -> dict[str, str]:
        """Every variable that Geant4 wants; sets that are not here point to the folder ``empty``.

        ``GEANT4_DATA_DIR`` keeps geant4-pybind from asking whether to download gigabytes.
        """
        names = (*ELECTROMAGNETIC, *HADRONIC, *OPTIONAL)
        found = {name: str(self.folders.get(name, empty)) for name in names}
        return {**found, "GEANT4_DATA_DIR": str(empty)}

    def identity(self, hadronic: bool = True) -> dict[str, str]:
        """Name and fingerprint (of file names and sizes) of every set that is used.

        Args:
            hadronic: all sets; otherwise those of electromagnetic physics.

        Raises:
            SimulationError: a set cannot be read.
        """
        return {
            name: f"{folder.name} {_fingerprint(folder)}"
            for name, folder in sorted(self.folders.items())
            if hadronic or name in ELECTROMAGNETIC
        }


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode())
    except OSError as error:
        raise SimulationError(
            f"{folder}: these physics tables cannot be read ({error.strerror}); "
            "make them readable: chmod -R a+rX"
        ) from error
    return digest.hexdigest()[:16]


def search_path() -> Iterator[Path]:
    """Folders that may hold data sets, best first (Geant4's own variables come after the first)."""
    for variable in (OWN_VARIABLE, "GEANT4_DATA_DIR"):
        if os.environ.get(variable):
            yield Path(os.environ[variable])
    with suppress(RuntimeError):  # a user without a home folder, as in some containers
        yield Path.home() / ".geant4_pybind"
    for variable, inside in _INSTALLED:
        if os.environ.get(variable):
            yield Path(os.environ[variable]) / inside
    yield from _SYSTEM


def find_folders() -> dict[str, Path]:
    """Where every data set is, by Geant4's variable; sets that are not here are left out.

    Those of ``CALOFORGE_GEANT4_DATA`` come first, then Geant4's own variables, then the usual
    folders. Within a folder the newest version wins.
    """
    folders: dict[str, Path] = {}
    for variable, name in (ELECTROMAGNETIC | HADRONIC | OPTIONAL).items():
        found = next((path for path in _candidates(variable, name) if _holds(variable, path)), None)
        if found is not None:
            folders[variable] = found.absolute()
    return folders


def find_tables() -> Tables:
    """The tables on this machine, as :func:`find_folders` finds them.

    Raises:
        SimulationError: the electromagnetic sets are not there; says how to get them.
    """
    folders = find_folders()
    if not ELECTROMAGNETIC.keys() <= folders.keys():
        raise SimulationError(f"Geant4's physics tables are not on this machine; {how_to_get()}")
    return Tables(folders)


def how_to_get(hadronic: bool = False) -> str:
    """The commands that bring the tables."""
    names = [*ELECTROMAGNETIC.values(), *(HADRONIC.values() if hadronic else ())]
    sets = f"{_EM_FILES} {_HADRONIC_FILES}" if hadronic else _EM_FILES
    return (
        f"set {OWN_VARIABLE} to the folder that holds {', '.join(names[:-1])} and {names[-1]}, "
        f"or get them: mkdir -p ~/.geant4_pybind; for t in {sets}; do "
        f"curl -L {_URL}/$t.tar.gz | tar xz -C ~/.geant4_pybind; done"
    )


def _candidates(variable: str, name: str) -> Iterator[Path]:
    """Folders that may be the data set, best first."""
    if os.environ.get(OWN_VARIABLE):
        yield from _inside(Path(os.environ[OWN_VARIABLE]), name)
    if os.environ.get(variable):
        yield Path(os.environ[variable])
    for root in search_path():
        yield from _inside(root, name)


def _inside(root: Path, name: str) -> list[Path]:
    """Folders ``G4EMLOW``, ``G4EMLOW8.8``, ``G4EMLOW-8.8`` or, as conda names it, ``EMLOW8.8`` in
    ``root``, newest version first.
    """
    pattern = re.compile(rf"(?:G4)?{re.escape(name.removeprefix('G4'))}[-.]?([\d.]*)")
    found = []
    try:
        for path in root.iterdir():
            match = pattern.fullmatch(path.name)
            if match and path.is_dir():
                version = tuple(int(part) for part in match.group(1).split(".") if part)
                found.append((version, path))
    except OSError:
        return []
    return [path for _, path in sorted(found, reverse=True)]


def _holds(variable: str, folder: Path) -> bool:
    try:
        if variable not in _PROBES:
            return folder.is_dir() and any(folder.iterdir())
        groups = _PROBES[variable]
        return all(any((folder / name).exists() for name in group) for group in groups)
    except OSError:
        return False
