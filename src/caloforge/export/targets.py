"""What a model can be exported to, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from caloforge.artifact import Artifact
from caloforge.errors import ConfigError
from caloforge.export.ddml import export_ddml
from caloforge.export.fastcalosim import export_fastcalosim
from caloforge.export.fidelity import ALLOWED
from caloforge.export.onnx import export_onnx
from caloforge.export.openvino import export_openvino
from caloforge.export.par04 import Par04Options, export_par04
from caloforge.export.quantised import PRECISIONS, Precision
from caloforge.export.script import export_torchscript


@dataclass(frozen=True)
class ExportOptions:
    """What some targets take.

    ``precision``, ``reference``, ``max_loss``: see :func:`caloforge.export.export_onnx`;
    ``rebin``, ``particle``: see :class:`caloforge.export.Par04Options`.
    """

    precision: Precision = "full"
    reference: Path | None = None
    max_loss: float = ALLOWED
    rebin: str | None = None
    particle: int | None = None


@dataclass(frozen=True)
class Target:
    """One kind of file.

    ``options`` that it takes, ``beside``: endings of the files that come with it.
    """

    name: str
    description: str
    options: tuple[str, ...]
    beside: tuple[str, ...]
    write: Callable[[Artifact, Path, ExportOptions], Path]


def _onnx(artifact: Artifact, output: Path, options: ExportOptions) -> Path:
    return export_onnx(
        artifact,
        output,
        options.precision,
        reference=options.reference,
        max_loss=options.max_loss,
    )


def _par04(mode: str) -> Callable[[Artifact, Path, ExportOptions], Path]:
    def write(artifact: Artifact, output: Path, options: ExportOptions) -> Path:
        return export_par04(artifact, output, mode, Par04Options(options.rebin, options.particle))

    return write


_ON_MESH = ("rebin", "particle")

TARGETS = {
    target.name: target
    for target in (
        Target(
            "onnx",
            ".onnx: condition (MeV, rad, mm) and noise in, MeV per cell out",
            ("precision", "reference", "max_loss"),
            (".json",),
            _onnx,
        ),
        Target(
            "par04",
            ".onnx and macro for Geant4's Par04, VAE mode",
            _ON_MESH,
            (".json", ".mac"),
            _par04("VAE"),
        ),
        Target(
            "par04-calodit",
            ".onnx or .pt and macro for Geant4's Par04, CaloDiT-2 mode",
            _ON_MESH,
            (".json", ".mac"),
            _par04("CaloDiT-2"),
        ),
        Target(
            "ddml",
            ".onnx for DDML (DDFastShowerML) in ddsim, its regular grid GAN",
            ("particle",),
            (".json",),
            lambda a, o, options: export_ddml(a, o, options.particle),
        ),
        Target(
            "fastcalosim",
            ".onnx with the inputs of ATLAS' FastCaloSim",
            ("particle",),
            (".json",),
            lambda a, o, options: export_fastcalosim(a, o, options.particle),
        ),
        Target(
            "torchscript",
            ".pt for libtorch: condition and noise in, MeV per cell out",
            (),
            (".json",),
            lambda a, o, _: export_torchscript(a, o),
        ),
        Target(
            "openvino",
            ".xml for OpenVINO: condition and noise in, MeV per cell out",
            (),
            (".bin", ".json"),
            lambda a, o, _: export_openvino(a, o),
        ),
    )
}


def export_model(
    artifact: Artifact,
    output: str | Path,
    target: str = "onnx",
    options: ExportOptions | None = None,
) -> Path:
    """Export a model to one of :data:`TARGETS`.

    Raises:
        ConfigError: no such target, or an option that it does not take.
        ModelError, GeometryError, OutputError: see the target.
    """
    if target not in TARGETS:
        raise ConfigError(f"--target {target}: choose one of {', '.join(TARGETS)}")
    options = options or ExportOptions()
    if options.precision not in PRECISIONS:
        raise ConfigError(f"--precision {options.precision}: choose one of {', '.join(PRECISIONS)}")
    usual = ExportOptions()
    for field in fields(ExportOptions):
        given = getattr(options, field.name) != getattr(usual, field.name)
        if given and field.name not in TARGETS[target].options:
            flag = field.name.replace("_", "-")
            takers = [t.name for t in TARGETS.values() if field.name in t.options]
            raise ConfigError(f"--{flag} is for --target {' and '.join(takers)}, not {target}")
    return TARGETS[target].write(artifact, Path(output), options)
