"""Which of the processes of a training this one is: alone, or started by torchrun or srun.

``caloforge train --devices N`` starts its processes with torchrun's variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from caloforge.errors import ConfigError

_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_RESTARTS = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")


@dataclass(frozen=True)
class Processes:
    """This process among those of a training.

    ``rank`` of ``world`` processes, ``local`` of which are on every one of ``nodes`` machines;
    ``restarted``: the launcher has started all of them again after a failure.
    """

    launcher: Literal["none", "torchrun", "slurm"] = "none"
    rank: int = 0
    world: int = 1
    local: int = 1
    nodes: int = 1
    restarted: bool = False

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and tells."""
        return self.rank == 0

    def environment(self) -> ClusterEnvironment:
        """The same for Lightning."""
        if self.launcher == "slurm":
            return SLURMEnvironment(auto_requeue=False)
        return TorchElasticEnvironment()


def find_processes(variables: Mapping[str, str] | None = None) -> Processes:
    """What the environment variables (this process's, when None) say.

    Raises:
        ConfigError: they contradict each other, or a Slurm job forgot srun.
    """
    given = os.environ if variables is None else variables
    restarted = any(_number(given, name, 0) > 0 for name in _RESTARTS)
    if all(name in given for name in _TORCHRUN):
        world = _number(given, "WORLD_SIZE")
        local = _number(given, "LOCAL_WORLD_SIZE", world)
        nodes = _number(given, "GROUP_WORLD_SIZE", max(1, world // local))
        found = Processes("torchrun", _number(given, "RANK"), world, local, nodes, restarted)
    elif _number(given, "SLURM_NTASKS", 1) > 1 or "SLURM_STEP_ID" in given:
        found = _slurm(given, restarted)
    else:
        return Processes(restarted=restarted)
    if found.local * found.nodes != found.world:
        raise ConfigError(
            f"{found.world} processes were started by {found.launcher}, {found.local} on this of "
            f"{found.nodes} machines; start equally many on each"
        )
    return found


def _slurm(given: Mapping[str, str], restarted: bool) -> Processes:
    world = _number(given, "SLURM_NTASKS", 1)
    if world == 1:
        return Processes(restarted=restarted)
    if "SLURM_STEP_ID" not in given:
        raise ConfigError(
            f"SLURM_NTASKS is {world}, but srun has not started this process; write "
            "'srun caloforge train ...', or unset SLURM_NTASKS to train on one process"
        )
    if "SLURM_NTASKS_PER_NODE" not in given:
        raise ConfigError(
            f"SLURM_NTASKS is {world} without SLURM_NTASKS_PER_NODE; submit with --ntasks-per-node"
        )
    local, nodes = _number(given, "SLURM_NTASKS_PER_NODE"), _number(given, "SLURM_NNODES", 1)
    return Processes("slurm", _number(given, "SLURM_PROCID"), world, local, nodes, restarted)


def _number(given: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = given.get(name, "" if default is None else str(default))
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{name}='{text}' in the environment is not a number; unset it") from None
