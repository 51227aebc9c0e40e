"""Where an artifact comes from: enough to make it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from caloforge._version import __version__
from caloforge.errors import FormatError


@dataclass(frozen=True)
class Provenance:
    """Version, step, config, seed, geometry hash and the inputs' digests of an artifact.

    ``inputs`` maps a file or folder name to its sha256; ``parents`` holds the provenance of the
    inputs, so a generated file leads back to the training showers; ``source`` holds what the
    original simulation said of itself (for instance ``seconds_per_shower``).
    """

    step: str
    geometry: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    parents: tuple[Mapping[str, Any], ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return asdict(self)

    def to_json(self) -> str:
        """JSON text that :meth:`from_json` reads back."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, origin: str = "provenance") -> Provenance:
        """Read from JSON text; unknown keys (from newer versions) are ignored.

        Raises:
            FormatError: the text is not a JSON object with a ``step``.
        """
        try:
            raw = json.loads(text)
            known = {key: raw[key] for key in cls.__dataclass_fields__ if key in raw}
            known["parents"] = tuple(known.get("parents", ()))
            return cls(**known)
        except (ValueError, TypeError) as error:
            raise FormatError(
                f"{origin}: unreadable provenance ({error}); make it again"
            ) from error

    def find_source(self, key: str) -> Any:
        """``source[key]`` of this step or of the nearest parent that has it, else None."""
        if key in self.source:
            return self.source[key]
        for parent in self.parents:
            known = {k: parent[k] for k in self.__dataclass_fields__ if k in parent}
            found = Provenance(**known).find_source(key)
            if found is not None:
                return found
        return None


def input_digests(paths: Sequence[str | Path]) -> dict[str, str]:
    """sha256 of every file by its name; files of the same name are told apart by their number."""
    digests: dict[str, str] = {}
    for number, path in enumerate(map(Path, paths)):
        name = path.name if path.name not in digests else f"{path.name} ({number})"
        digests[name] = file_digest(path)
    return digests


def file_digest(path: str | Path) -> str:
    """sha256 of a file, or of a folder's files in name order."""
    path = Path(path)
    digest = hashlib.sha256()
    for part in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        with part.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
