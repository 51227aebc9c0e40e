"""The one Geant4 run manager that a process can have."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from caloforge.beam import directions
from caloforge.errors import ConfigError, SimulationError, one_line
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from caloforge.simulate.aim import centred, entry_points
from caloforge.simulate.base import Advance
from caloforge.simulate.fast.takeover import Arrival
from caloforge.simulate.fast.team import Deposits, Found, Team
from caloforge.simulate.geant4.barrel import Barrel
from caloforge.simulate.geant4.gate import make_gate
from caloforge.simulate.geant4.gun import event_seeds, make_gun
from caloforge.simulate.geant4.physics import physics_list
from caloforge.simulate.geant4.pions import PION, make_watch
from caloforge.simulate.geant4.planar import Planar
from caloforge.simulate.geant4.scoring import NOTHING, Hits, Scorer
from caloforge.simulate.geant4.tables import Tables

if TYPE_CHECKING:
    from caloforge.simulate.geant4.simulator import Geant4

STABLE = (11, 22)
"""PDG codes, up to the sign, of particles that surely reach the calorimeter through vacuum."""

_REPORT = 0.2  # s between two reports of progress


def load_geant4(tables: Tables) -> Any:
    """The module ``geant4_pybind``, told where its tables are before it is imported.

    Raises:
        SimulationError: not installed.
    """
    empty = Path(tempfile.gettempdir()) / f"caloforge-no-tables-{getattr(os, 'getuid', int)()}"
    try:
        empty.mkdir(exist_ok=True)
    except OSError as error:
        raise SimulationError(f"{empty}: cannot make this folder ({one_line(error)})") from error
    os.environ.update(tables.environment(empty))
    try:
        import geant4_pybind
    except ImportError as error:
        raise SimulationError(
            f"geant4-pybind cannot be imported ({one_line(error)}); install it again"
        ) from error
    return geant4_pybind


class Session:
    """Geant4 with one detector and one physics list, ready to run events."""

    def __init__(self, config: Geant4, tables: Tables) -> None:
        self.calorimeter: Calorimeter = config.calorimeter
        self.config = config
        self.g4 = load_geant4(tables)
        self.tables = tables.identity(hadronic=config.physics == "ftfp_bert")
        self.scorers: list[Scorer] = []
        self.events: list[Hits] = []
        self.team = Team(config.fast, config.calorimeter) if config.fast else None
        self.gate: Any = None if self.team is None else make_gate(self.g4, self.team)
        self.angles: list[float] = []
        self.watch: Any = None
        self._advance: Advance | None = None
        self._reported = 0.0
        self._start(tables)

    def _start(self, tables: Tables) -> None:
        g4 = self.g4
        self.manager = g4.G4RunManager()
        self.manager.SetVerboseLevel(0)
        self.detector = self._detector()
        self.manager.SetUserInitialization(self.detector)
        config = self.config
        self.physics = physics_list(g4, config.physics, config.em_option, config.cut, tables)
        self.manager.SetUserInitialization(self.physics)
        self.gun = make_gun(g4)
        self.actions = self._actions()
        self.manager.SetUserInitialization(self.actions)
        self.manager.Initialize()

    # -------------------------------------------------------- what Geant4 calls

    def _detector(self) -> Any:
        session, g4 = self, self.g4
        builder: Planar | Barrel
        if self.calorimeter.inner_radius is None:
            builder = Planar(g4, self.calorimeter, self.config.bare, self.gate is not None)
        else:
            builder = Barrel(g4, self.calorimeter, self.config.bare)

        class Detector(g4.G4VUserDetectorConstruction):  # type: ignore[misc, name-defined]
            def Construct(self) -> Any:
                return builder.build()

            def ConstructSDandField(self) -> None:
                for number, group in enumerate(builder.scored.values()):
                    scorer = Scorer(g4, session.calorimeter, group, f"cells{number}")
                    session.scorers.append(scorer)
                    for volume in group.volumes:
                        self.SetSensitiveDetector(volume, scorer.detector)
                if session.gate is not None:
                    assert isinstance(builder, Planar)
                    g4.G4SDManager.GetSDMpointer().AddNewDetector(session.gate)
                    self.SetSensitiveDetector(builder.gate, session.gate)

        return Detector()

    def _actions(self) -> Any:
        session, g4 = self, self.g4

        class End(g4.G4UserEventAction):  # type: ignore[misc, name-defined]
            def EndOfEventAction(self, event: Any) -> None:
                session.collect(event)

        class Actions(g4.G4VUserActionInitialization):  # type: ignore[misc, name-defined]
            def Build(self) -> None:
                self.end = End()
                self.SetUserAction(session.gun)
                self.SetUserAction(self.end)

        return Actions()

    def collect(self, event: Any) -> None:
        """Keep an event's hits; called by Geant4 once per event."""
        empty = not self.scorers or (self.gate is not None and self.gate.all_taken)
        self.events.append(NOTHING if empty else self._hits(event.GetHCofThisEvent()))
        if self.gate is not None:
            self.gate.end_event()
        if self.watch is not None:
            self.angles.append(self.watch.angle())
        now = time.monotonic()
        if self._advance is not None and now - self._reported > _REPORT:
            self._reported = now
            self._advance(len(self.events))

    def _hits(self, collections: Any) -> Hits:
        """What the scorers have summed in an event."""
        if not collections:
            return NOTHING
        cells, energy = zip(*(scorer.hits(collections) for scorer in self.scorers), strict=True)
        return np.concatenate(cells), np.concatenate(energy)

    # ------------------------------------------------------------------ running

    def run(self, incident: Incident, seed: int, first: int, advance: Advance | None) -> Showers:
        """Simulate the particles, one event each; see :meth:`Simulator.simulate`."""
        table = self.g4.G4ParticleTable.GetParticleTable()
        for code in np.unique(incident["pdg"]):
            found = table.FindParticle(int(code))
            if found is None or found.IsShortLived():
                raise ConfigError(f"--particle {code}: Geant4 knows no such PDG code")
        self.events, self.angles, self._advance = [], [], advance
        if self.watch is None and "opening_angle" in incident and PION in incident["pdg"]:
            self.watch = make_watch(self.g4)
            self.manager.SetUserAction(self.watch)
        barrel = self.calorimeter.inner_radius is not None
        beam = centred(incident) if barrel else incident
        expected = self._expected(beam)
        if self.gate is not None:
            self.gate.begin(expected)
        by_chance = [one is None for one in expected]
        self.gun.aim(beam, event_seeds(seed, first, len(incident)), by_chance)
        self.manager.BeamOn(len(incident))
        if len(self.events) != len(incident):
            raise SimulationError(
                f"Geant4 finished {len(self.events)} of {len(incident)} events; see its output"
            )
        return self._showers(self._truth(incident), self._deposits(seed, first))

    def _expected(self, incident: Incident) -> list[Found | None]:
        """Which models will take over the particles that are shot, so far as that is sure.

        No random number decides what becomes of these: their events do without seeds.
        """
        if self.team is None:
            return [None] * len(incident)
        table = np.column_stack([incident["pdg"], incident.energy, entry_points(incident)])
        arrivals = [
            Arrival(int(pdg), energy, x, y, tuple(direction))
            for (pdg, energy, x, y), direction in zip(
                table.tolist(), directions(incident).tolist(), strict=True
            )
        ]
        return [self.team.sees(one) if abs(one.pdg) in STABLE else None for one in arrivals]

    def _truth(self, incident: Incident) -> Incident:
        """The particles with what the events have shown."""
        if self.gate is not None:
            incident = Incident({**incident.columns, "fast_energy": self.gate.energy})
        pions = incident["pdg"] == PION
        if "opening_angle" not in incident or not pions.any():
            return incident
        angles = np.where(pions, self.angles, incident["opening_angle"])
        return Incident({**incident.columns, "opening_angle": angles})

    def _deposits(self, seed: int, first: int) -> Deposits:
        """Those of Geant4, then those of the models; events are counted from 0."""
        counts = [len(cells) for cells, _ in self.events]
        tracked = Deposits(
            np.repeat(np.arange(len(counts)), counts),
            np.concatenate([cells for cells, _ in self.events]),
            np.concatenate([energy for _, energy in self.events]),
        )
        if self.team is None:
            return tracked
        taken = [one._replace(event=one.event + first) for one in self.gate.taken]
        made = self.team.deposits(taken, seed)
        made = made._replace(event=made.event - first)
        return Deposits(*(np.concatenate(pair) for pair in zip(tracked, made, strict=True)))

    def _showers(self, incident: Incident, deposits: Deposits) -> Showers:
        source = {
            "generator": self.manager.GetVersionString().split("Name: ")[-1].split()[0],
            "tables": self.tables,
        }
        return Showers.from_hits(
            self.calorimeter,
            incident,
            *deposits,
            Provenance(step="simulate", geometry=self.calorimeter.hash, source=source),
        )
