"""What Prometheus reads."""

from __future__ import annotations

from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        kept = self.registry
        self.requests = Counter(
            "caloforge_requests", "Requests.", ["path", "status"], registry=kept
        )
        self.seconds = Histogram(
            "caloforge_request_seconds",
            "From request to response.",
            ["path"],
            buckets=SECONDS,
            registry=kept,
        )
        self.showers = Counter("caloforge_showers", "Showers made.", registry=kept)
        self.batches = Histogram(
            "caloforge_batch_showers", "Showers per batch.", buckets=SIZES, registry=kept
        )
        self.engine = Counter("caloforge_engine_seconds", "Time in the engine.", registry=kept)
        self.waiting = Gauge(
            "caloforge_waiting_showers", "Showers that wait or are being made.", registry=kept
        )

    def batch(self, showers: int, begin: float) -> None:
        """Note a batch that began at ``begin`` of the performance counter."""
        self.showers.inc(showers)
        self.batches.observe(showers)
        self.engine.inc(perf_counter() - begin)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return bytes(generate_latest(self.registry))
