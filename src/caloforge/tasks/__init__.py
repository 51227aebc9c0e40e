"""One big shower-making job as many small shards, on local processes or on a dask cluster."""

from caloforge.tasks.cluster import DaskCluster
from caloforge.tasks.executor import Executor, ShardAdvance
from caloforge.tasks.in_process import InProcess
from caloforge.tasks.job import Advance, Job
from caloforge.tasks.local import LocalWorkers
from caloforge.tasks.plan import Shard, plan_shards
from caloforge.tasks.progress import Progress
from caloforge.tasks.run import Result, run_sharded

__all__ = [
    "Advance",
    "DaskCluster",
    "Executor",
    "InProcess",
    "Job",
    "LocalWorkers",
    "Progress",
    "Result",
    "Shard",
    "ShardAdvance",
    "plan_shards",
    "run_sharded",
]
