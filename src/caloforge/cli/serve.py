"""``caloforge serve``."""

from __future__ import annotations

import socket
from pathlib import Path

import typer

from caloforge.cli.common import note
from caloforge.errors import ConfigError, one_line

MODEL = typer.Argument(..., help="Model folder, exported file or shipped name.")
NAME = typer.Option(None, "--name", help="Name in addresses; the model's by default.")
HOST = typer.Option("127.0.0.1", "--host", help="Address to listen at; 0.0.0.0 is everywhere.")
PORT = typer.Option(8000, "--port", min=0, max=65535, help="Port; 0 takes a free one.")
ENGINE = typer.Option("auto", "--engine", help="auto, compact, torch, onnx or openvino.")
REFERENCE = typer.Option(None, "--reference", help="Geant4's showers, to draw beside the model's.")
BATCH = typer.Option(128, "--batch", help="Showers in one call of the engine.")
WAIT = typer.Option(2.0, "--wait", help="ms that a batch waits for other requests.")
SHOWERS = typer.Option(10_000, "--showers", help="Most showers in one request.")
WAITING = typer.Option(20_000, "--waiting", help="Most showers that wait; more are refused (503).")
RATE = typer.Option(None, "--rate", help="Most requests of one client, as in 100/second.")
BODY = typer.Option(4.0, "--body", help="Largest request in MB.")
SHUTDOWN = typer.Option(30, "--shutdown", help="Seconds to finish open requests at the end.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(
    model: str = MODEL,
    name: str | None = NAME,
    host: str = HOST,
    port: int = PORT,
    engine: str = ENGINE,
    reference: Path | None = REFERENCE,
    batch: int = BATCH,
    wait: float = WAIT,
    showers: int = SHOWERS,
    waiting: int = WAITING,
    rate: str | None = RATE,
    body: float = BODY,
    shutdown: int = SHUTDOWN,
) -> None:
    """Serve a model over HTTP: KServe v2, streams of showers, a page, Prometheus metrics.

    Examples:

      caloforge serve lcd-ecal-25-electron

      caloforge serve model.onnx --host 0.0.0.0 --port 8080 --rate 100/second --reference geant4.h5
    """
    try:
        import uvicorn

        from caloforge.serve import Limits, create_app
    except ImportError as error:
        raise ConfigError(
            f"the service needs {error.name}, which is not installed; run: "
            "pip install 'caloforge[serve]'"
        ) from None
    from caloforge.engines import open_engine
    from caloforge.store import open_showers

    limits = Limits(showers, waiting, batch, wait / 1000, rate, int(body * 2**20), shutdown)
    opened = open_engine(model, engine, batch_size=batch)
    geant4 = None
    if reference is not None:
        with open_showers(reference) as reader:
            geant4 = reader.read()
        opened.calorimeter.require_same(geant4.calorimeter, str(reference))
    called = name or Path(model).stem
    app = create_app(opened, called, limits, geant4)
    try:
        listener = socket.create_server((host, port))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # answers go at once
    except OSError as error:
        raise ConfigError(
            f"--host {host} --port {port}: cannot listen there ({one_line(error)}); take another"
        ) from None
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=shutdown)
    port = listener.getsockname()[1]
    note(f"serving '{called}' at http://{host}:{port}, its description at /docs; Ctrl-C ends it")
    uvicorn.Server(config).run(sockets=[listener])
