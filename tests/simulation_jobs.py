"""Jobs for the simulation tests: importable by worker processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from caloforge.showers import Incident, Provenance, Showers
from caloforge.simulate import Simulator
from caloforge.simulate.geant4 import Geant4
from caloforge.tasks import Shard
from caloforge.tasks.job import pack
from caloforge.tasks.process import WorkerProcess


def in_worker(job: Any, *pieces: slice) -> list[Showers]:
    """The showers of some pieces of a job, made one after the other in one fresh process."""
    with WorkerProcess(pack(job)) as process:
        return [
            process.call(Shard(k, piece.start, piece.stop), lambda _: None)
            for k, piece in enumerate(pieces)
        ]


@dataclass(frozen=True)
class Simulate:
    """Simulate the particles of a shard."""

    simulator: Simulator
    incident: Incident
    seed: int = 1

    def __call__(self, shard: Shard, advance: Callable[[int], None]) -> Showers:
        rows = self.incident.take(slice(shard.start, shard.stop))
        return self.simulator.simulate(rows, seed=self.seed, first=shard.start, advance=advance)


@dataclass(frozen=True)
class SimulateOffAxis(Simulate):
    """The mesh of a concentric calorimeter stays where it is, to see which cell is where."""

    def __call__(self, shard: Shard, advance: Callable[[int], None]) -> Showers:
        from caloforge.simulate.geant4 import session

        setattr(session, "centred", lambda incident: incident)  # noqa: B010
        return super().__call__(shard, advance)


@dataclass(frozen=True)
class Mother(Simulate):
    """The source of the showers says what the volume around the slabs is, and how many it holds."""

    volume: str = "calorimeter"

    def __call__(self, shard: Shard, advance: Callable[[int], None]) -> Showers:
        showers = super().__call__(shard, advance)
        import geant4_pybind

        volume = geant4_pybind.G4LogicalVolumeStore.GetInstance().GetVolume(self.volume)
        source = {"mother": volume.GetMaterial().GetName(), "slabs": volume.GetNoDaughters()}
        return showers.with_provenance(replace(showers.provenance, source=source))


@dataclass(frozen=True)
class PhysicsParts(Simulate):
    """The source of an empty shower gets the parts of our FTFP_BERT, or of the stock one."""

    stock: bool = False

    def __call__(self, shard: Shard, advance: Callable[[int], None]) -> Showers:
        from caloforge.simulate.geant4.physics import physics_list
        from caloforge.simulate.geant4.session import load_geant4

        assert isinstance(self.simulator, Geant4)
        tables = self.simulator.tables()
        g4 = load_geant4(tables)
        ours = physics_list(g4, "ftfp_bert", 0, 0.7, tables)
        source = {"parts": sorted(_parts(g4.FTFP_BERT() if self.stock else ours))}
        return Showers(
            self.simulator.calorimeter,
            self.incident,
            [0, 0],
            [],
            [],
            Provenance(step="test", geometry=self.simulator.calorimeter.hash, source=source),
        )


def _parts(physics_list: Any) -> list[str]:
    names: list[str] = []
    while (part := physics_list.GetPhysics(len(names))) is not None:
        names.append(part.GetPhysicsName())
    return names


@dataclass(frozen=True)
class SaturateStepByStep:
    """Simulate, and beside the scorers apply G4EmSaturation's formula to every single step.

    The source of the showers gets ``raw`` and ``saturated``: sums over all steps (MeV).
    """

    simulator: Geant4
    incident: Incident
    birks: float
    material: str

    def __call__(self, shard: Shard, advance: Callable[[int], None]) -> Showers:
        from caloforge.simulate.geant4.session import Session

        session = Session(self.simulator, self.simulator.tables())
        steps = _StepSaturation(session.g4, self.birks, self.material)
        action = steps.action()
        session.manager.SetUserAction(action)
        showers = session.run(self.incident, 1, 0, None)
        source = {"raw": steps.raw, "saturated": steps.saturated}
        return showers.with_provenance(replace(showers.provenance, source=source))


class _StepSaturation:
    """G4EmSaturation::VisibleEnergyDeposition (Geant4 11), in Python."""

    MASS = np.mean([938.272 / (a * 931.494) for a in (1.008, 12.011)])
    CHARGE = np.mean([z ** (2 / 3) for z in (1, 6)])

    def __init__(self, g4: Any, birks: float, material: str) -> None:
        self.g4, self.birks, self.name = g4, birks, material
        self.raw = self.saturated = 0.0
        self.calculator = g4.G4EmCalculator()
        table = g4.G4ParticleTable.GetParticleTable()
        self.electron, self.proton = table.FindParticle("e-"), table.FindParticle("proton")
        self.material = g4.G4NistManager.Instance().FindOrBuildMaterial(material)

    def action(self) -> Any:
        watch = self.step

        class Watch(self.g4.G4UserSteppingAction):  # type: ignore[misc, name-defined]
            def UserSteppingAction(self, step: Any) -> None:  # noqa: N802
                watch(step)

        return Watch()

    def step(self, step: Any) -> None:
        deposit, point = step.GetTotalEnergyDeposit(), step.GetPreStepPoint()
        if deposit <= 0 or point.GetTouchable().GetVolume().GetName() != "cell":
            return
        particle = step.GetTrack().GetParticleDefinition()
        self.raw += deposit
        if particle.GetParticleName() == "gamma":
            length = self.calculator.GetRange(deposit, self.electron, self.material)
            self.saturated += deposit / (1 + self.birks * deposit / length)
            return
        nuclear = max(0.0, step.GetNonIonizingEnergyDeposit())
        ionising, length = deposit - nuclear, step.GetStepLength()
        if particle.GetPDGCharge() == 0 or length <= 0:
            nuclear, ionising = deposit, 0.0
        if ionising > 0:
            ionising /= 1 + self.birks * ionising / length
        if nuclear > 0:
            scaled = self.calculator.GetRange(nuclear * self.MASS, self.proton, self.material)
            nuclear /= 1 + self.birks * nuclear * self.CHARGE / scaled
        self.saturated += ionising + nuclear
