"""What the service says when it does not answer: a status, and one line that says what to do."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from caloforge.errors import CaloforgeError

BAD, MISSING, TOO_LARGE, TOO_MANY, BUSY = 400, 404, 413, 429, 503


class RefusalError(CaloforgeError):
    """A request that is not answered.

    Args:
        status: of the response.
        text: for the client.
        retry: seconds after which it may try again.
    """

    def __init__(self, status: int, text: str, retry: int | None = None) -> None:
        super().__init__(text)
        self.status, self.retry = status, retry


class ErrorText(BaseModel):
    """The body of every refusal, as KServe has it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"error": "no such model"}]})

    error: str


REFUSALS: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorText, "description": text}
    for status, text in (
        (BAD, "The request makes no sense; the error says why."),
        (MISSING, "There is no such model or page."),
        (TOO_LARGE, "Too many showers or bytes in one request."),
        (TOO_MANY, "Too many requests of this client."),
        (BUSY, "Too many showers wait already; try again after Retry-After seconds."),
    )
}
"""For the OpenAPI description."""


async def answer(_: Request, error: Exception) -> JSONResponse:
    """The response to an error of ours: the client's mistake unless it says otherwise."""
    status = error.status if isinstance(error, RefusalError) else BAD
    headers = {}
    if isinstance(error, RefusalError) and error.retry is not None:
        headers["Retry-After"] = str(error.retry)
    return JSONResponse({"error": str(error)}, status, headers)
