"""What every request passes: it is counted, and refused where its client sends too many."""

from __future__ import annotations

from time import perf_counter

from fastapi.responses import JSONResponse
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from caloforge.serve.refusals import TOO_MANY
from caloforge.serve.service import Service

FREE = ("/v2/health/live", "/v2/health/ready", "/metrics")
"""Paths without a limit on the rate: a monitor must always get through."""


class Guard:
    """ASGI middleware; Starlette's decorator would start tasks for each request (0.5 ms).

    Args:
        app: what answers.
        service: its limit on the rate, and its metrics.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.metrics = app, service.metrics
        self.words = service.limits.rate
        self.rate = None if self.words is None else parse(self.words)
        self.limiter = MovingWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begin, status = perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await (self.app if self._allows(scope) else self._refusal())(scope, receive, sent)
        finally:
            path = getattr(scope.get("route"), "path", "other")  # an address that is not ours
            self.metrics.requests.labels(path, status).inc()
            self.metrics.seconds.labels(path).observe(perf_counter() - begin)

    def _allows(self, scope: Scope) -> bool:
        if self.rate is None or scope["path"] in FREE:
            return True
        client = scope["client"][0] if scope.get("client") else "unknown"
        return self.limiter.hit(self.rate, client)

    def _refusal(self) -> ASGIApp:
        assert self.rate is not None
        text = f"more than {self.words} of this client; slow down"
        return JSONResponse({"error": text}, TOO_MANY, {"Retry-After": f"{self.rate.get_expiry()}"})
