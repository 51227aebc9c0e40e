"""How much a client may ask for, and how much may wait."""

from __future__ import annotations

from dataclasses import dataclass

from limits import parse

from caloforge.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Limits of a service.

    Args:
        showers: in one request.
        waiting: showers that may wait in all; more are refused with 503.
        batch: showers in one call of the engine.
        wait: seconds that the first shower of a batch waits for others.
        rate: requests of one client, as in ``100/second``; any number when None.
        body: bytes of a request.
        shutdown: seconds in which open requests are finished before the end.

    Raises:
        ConfigError: a limit that makes no sense.
    """

    showers: int = 10_000
    waiting: int = 20_000
    batch: int = 128
    wait: float = 0.002
    rate: str | None = None
    body: int = 4 * 2**20
    shutdown: int = 30

    def __post_init__(self) -> None:
        for name in ("showers", "waiting", "batch", "body", "shutdown"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name} {getattr(self, name)}: give a positive number")
        if not 0 <= self.wait <= 1:
            raise ConfigError(f"--wait {1000 * self.wait:g}: give 0 to 1000 ms")
        if self.waiting < self.showers:
            raise ConfigError(
                f"--waiting {self.waiting}: a request of {self.showers} showers could never wait; "
                "raise it, or lower --showers"
            )
        if self.rate is not None:
            try:
                parse(self.rate)
            except ValueError:
                raise ConfigError(
                    f"--rate {self.rate}: give requests per time, as in 100/second or 10/minute"
                ) from None
