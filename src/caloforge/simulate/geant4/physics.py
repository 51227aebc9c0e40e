"""The physics list: electromagnetic (options 0 to 4) or FTFP_BERT, with one range cut."""

from __future__ import annotations

from typing import Any

from caloforge.simulate.geant4.tables import Tables

_EM = (
    "G4EmStandardPhysics",
    "G4EmStandardPhysics_option1",
    "G4EmStandardPhysics_option2",
    "G4EmStandardPhysics_option3",
    "G4EmStandardPhysics_option4",
)
_CUT_PARTICLES = ("gamma", "e-", "e+", "proton")
_HADRONIC = (
    "G4EmExtraPhysics",
    "G4HadronElasticPhysics",
    "G4HadronPhysicsFTFP_BERT",
    "G4StoppingPhysics",
    "G4IonPhysics",
    "G4NeutronTrackingCut",
)


def physics_list(g4: Any, physics: str, em_option: int, cut: float, tables: Tables) -> Any:
    """A G4VModularPhysicsList.

    Args:
        g4: the module ``geant4_pybind``.
        physics: ``em``, or ``ftfp_bert`` (Geant4's list of that name, part by part, so that the
            EM option can be chosen).
        em_option: of G4EmStandardPhysics, 0 to 4.
        cut: production cut (mm).
        tables: decides which photoelectric tables are read.
    """

    class List(g4.G4VModularPhysicsList):  # type: ignore[misc]
        """Geant4 keeps no Python reference to the parts: the list does."""

        def __init__(self) -> None:
            super().__init__()
            names = [_EM[em_option], "G4DecayPhysics"]
            names += _HADRONIC if physics == "ftfp_bert" else ()
            self.parts = [getattr(g4, name)() for name in names]
            for part in self.parts:
                self.RegisterPhysics(part)

        def SetCuts(self) -> None:
            """Geant4 calls this; SetDefaultCutValue would be lost between Python and C++."""
            for particle in _CUT_PARTICLES:
                self.SetCutValue(cut, particle)

    made = List()
    parameters = g4.G4EmParameters.Instance()  # after the list: its parts set the defaults
    parameters.SetLivermoreDataDir(tables.photoelectric)
    parameters.SetVerbose(0)
    return made
