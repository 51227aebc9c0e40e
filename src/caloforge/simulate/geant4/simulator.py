"""``--engine geant4``: full simulation of any planar or concentric calorimeter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from caloforge.beam import PDG
from caloforge.errors import ConfigError, GeometryError, SimulationError
from caloforge.geometry import Calorimeter, depth, width
from caloforge.showers import Incident, Showers
from caloforge.simulate.aim import check_aim, starts
from caloforge.simulate.base import Advance, Simulator
from caloforge.simulate.fast import FastChoice, Team
from caloforge.simulate.geant4.gate import GATE
from caloforge.simulate.geant4.pions import with_opening_angles
from caloforge.simulate.geant4.tables import Tables, find_tables, how_to_get
from caloforge.simulate.readout import check_readout

if TYPE_CHECKING:
    from caloforge.simulate.geant4.session import Session

ELECTROMAGNETIC_PARTICLES = (11, -11, 22, 111, 13, -13)
"""PDG codes for which the purely electromagnetic list is enough: e-, e+, gamma, pi0, mu-, mu+.

(Only the capture of stopped mu- is missing there.)
"""

LIGHTEST_CODE = 11
"""Smaller PDG codes are quarks."""

RELAXATION_OPTIONS = (3, 4)
"""EM options that need the tables of atomic relaxation."""

LARGEST = 15_000.0
"""Largest width and depth (mm): the world's vacuum holds them and the beam."""

SMALLEST_CUT, LARGEST_CUT = 1e-3, 1e3
"""Production cuts (mm) that make sense."""

LOWEST, HIGHEST = 1e-3, 1e8
"""Energies (MeV) that Geant4's standard physics covers: 1 keV to 100 TeV."""


class _Models(NamedTuple):
    """What the showers' ``source`` says of models; of each one its particles and energies (MeV)."""

    settings: dict[str, Any]
    known: tuple[tuple[tuple[int, ...], tuple[float, float]], ...]


@dataclass(frozen=True)
class Geant4(Simulator):
    """Geant4 in one calorimeter.

    Args:
        calorimeter: with stacks of materials.
        physics: ``em``, or ``ftfp_bert`` for hadrons.
        em_option: option of G4EmStandardPhysics, 0 to 4.
        cut: production cut (mm) everywhere.
        bare: track particles but score nothing, for timing.
        fast: models that take particles over before they enter; all else is tracked.

    Raises:
        ConfigError: an unknown physics list or option, or a cut that is not positive.
        GeometryError: the calorimeter cannot be simulated.
    """

    name: ClassVar[str] = "geant4"
    calorimeter: Calorimeter
    physics: str = "em"
    em_option: int = 0
    cut: float = 0.7
    bare: bool = False
    fast: tuple[FastChoice, ...] = ()

    def __post_init__(self) -> None:
        check_readout(self.calorimeter)
        size = max(width(self.calorimeter), depth(self.calorimeter))
        if size > LARGEST:
            raise GeometryError(
                f"{self.calorimeter.name}: {size:g} mm wide or deep; at most {LARGEST:g} mm fit "
                "into Geant4's world"
            )
        if self.physics not in ("em", "ftfp_bert"):
            raise ConfigError(f"--physics {self.physics}: choose auto, em or ftfp_bert")
        if self.em_option not in range(5):
            raise ConfigError(f"--em-option {self.em_option}: choose 0, 1, 2, 3 or 4")
        if not SMALLEST_CUT <= self.cut <= LARGEST_CUT:
            raise ConfigError(
                f"--cut {self.cut:g}: give a production cut between {SMALLEST_CUT:g} and "
                f"{LARGEST_CUT:g} mm"
            )

    def check(self, incident: Incident) -> None:
        """See :meth:`Simulator.check`.

        Raises:
            SimulationError: the tables that this physics list needs are not here.
        """
        if "pdg" not in incident:
            raise ConfigError("--particle is missing; give one, as in --particle e-")
        codes = {int(code) for code in np.unique(incident["pdg"])}
        quarks = sorted(code for code in codes if abs(code) < LIGHTEST_CODE)
        if quarks:
            raise ConfigError(
                f"--particle {quarks[0]}: Geant4 tracks no such particle; choose another"
            )
        foreign = sorted(codes - set(ELECTROMAGNETIC_PARTICLES))
        if foreign and self.physics == "em":
            names = {code: name for name, code in PDG.items()}
            raise ConfigError(
                f"--particle {names.get(foreign[0], foreign[0])}: hadronic showers need "
                "--physics ftfp_bert, not the electromagnetic list"
            )
        low, high = float(incident.energy.min()), float(incident.energy.max())
        if low < LOWEST or high > HIGHEST:
            wrong = low if low < LOWEST else high
            raise ConfigError(
                f"--energy {wrong / 1000:g} GeV is beyond Geant4's physics lists; "
                "use 1e-6 to 1e5 GeV"
            )
        check_aim(self.calorimeter, incident)
        if self.fast:
            self._fast_settings()  # opens the models
            _check_before_gate(incident)
        self.version()
        self.tables()

    def truth(self, incident: Incident) -> Incident:
        """Neutral pions get the opening angle of their photons; with models, all showers the energy
        that these took over.
        """
        incident = with_opening_angles(incident)
        if not self.fast:
            return incident
        return Incident({**incident.columns, "fast_energy": np.zeros(len(incident))})

    def version(self) -> str:
        """The version of geant4-pybind, which stands for one of Geant4.

        Raises:
            SimulationError: not installed.
        """
        try:
            return version("geant4-pybind")
        except PackageNotFoundError:
            raise SimulationError(NOT_INSTALLED) from None

    def tables(self) -> Tables:
        """The tables that will be used.

        Raises:
            SimulationError: those that this physics list needs are not here.
        """
        tables = find_tables()
        if self.physics == "ftfp_bert" and not tables.hadronic:
            raise SimulationError(
                f"--physics ftfp_bert needs the tables G4PARTICLEXS; {how_to_get(hadronic=True)}"
            )
        if self.em_option in RELAXATION_OPTIONS and not tables.relaxation:
            raise SimulationError(
                f"--em-option {self.em_option} needs the atomic relaxation tables of a full "
                f"G4EMLOW; use option 0, or {how_to_get()}"
            )
        return tables

    def settings(self) -> dict[str, Any]:
        """See :meth:`Simulator.settings`; names the physics tables that were found here.

        The showers' ``source`` names those that the workers used: all must have the same.
        """
        tables = self.tables()
        return {
            "engine": self.name,
            "physics": self.physics,
            "em_option": self.em_option,
            "cut_mm": self.cut,
            "geant4_pybind": self.version(),
            "photoelectric_tables": tables.photoelectric,
            "tables": tables.identity(hadronic=self.physics == "ftfp_bert"),
            **({"bare": True} if self.bare else {}),
            **self._fast_settings(),
        }

    def _fast_settings(self) -> dict[str, Any]:
        return self._models.settings if self.fast else {}

    @cached_property
    def _models(self) -> _Models:
        """Opens the models, to see that they fit."""
        team = Team(self.fast, self.calorimeter)
        known = tuple((member.particles, member.ranges["energy"]) for member in team.members)
        settings = {"fast": [[*particles] for particles, _ in known], "models": team.inputs}
        return _Models(settings, known)

    def prepare(self) -> None:
        """Start Geant4 in this process; models compile."""
        session = _session(self)
        if session.team is not None:
            session.team.warm_up()

    def cost(self, incident: Incident) -> NDArray[np.float64]:
        """About 6 ms per GeV, and a millisecond for the event; a model costs the same for all."""
        full = 1e-3 + 6e-6 * incident.energy
        if not self.fast:
            return np.asarray(full)
        codes = incident["pdg"]
        taken = np.asarray(codes == PDG["pi0"])  # its photons are
        for particles, (low, high) in self._models.known:
            inside = (incident.energy >= low) & (incident.energy <= high)
            taken |= np.isin(codes, particles) & inside
        return np.where(taken, FAST_COST, full)

    def simulate(
        self, incident: Incident, *, seed: int, first: int = 0, advance: Advance | None = None
    ) -> Showers:
        """See :meth:`Simulator.simulate`; the first call decides what this process can simulate.

        Raises:
            SimulationError: this process already simulates something else.
        """
        return _session(self).run(incident, seed, first, advance)


FAST_COST = 5e-3
"""s, of an event in which models take the particle over."""


def _check_before_gate(incident: Incident) -> None:
    """Refuse particles that start behind the gate."""
    late = np.flatnonzero(starts(incident)[:, 2] >= GATE)
    if len(late):
        raise ConfigError(
            f"particle {late[0]} starts less than {-GATE:g} mm before the front face, where --fast "
            "takes particles over; start it earlier (--vertex), or leave its z out"
        )


NOT_INSTALLED = "Geant4 is not installed in this Python; run: pip install 'caloforge[geant4]'"

_running: list[Session] = []
"""The session of this process: none or one."""


def _session(config: Geant4) -> Session:
    from caloforge.simulate.geant4.session import Session

    if not _running:
        _running.append(Session(config, config.tables()))
    session = _running[0]
    if session.config != config:
        raise SimulationError(
            f"this process already simulates '{session.calorimeter.name}' with other settings, and "
            "Geant4 can hold one; use caloforge.simulate, which takes a fresh process"
        )
    return session
