"""``serve``: KServe's protocol, batches, streams, limits; what it refuses, and how."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import response_schema_conformance

from caloforge.beam import particles
from caloforge.engines import open_engine
from caloforge.errors import ConfigError, ModelError
from caloforge.runtime import shower_batches
from caloforge.serve import Limits, create_app
from caloforge.serve.kserve import LARGEST
from caloforge.serve.tensors import HEADER
from caloforge.showers import Incident, Showers
from helpers import random_showers, small_calorimeter

SHIPPED = "lcd-ecal-25-electron"
INFER = "/v2/models/toy/infer"


class Toy:
    """An engine that puts the energy, shared by the noise, into three cells.

    ``gate`` holds it back until it is set; ``calls`` are the sizes of its batches.
    """

    name = "toy"

    def __init__(self, failing: float = -1.0) -> None:
        self.inputs: dict[str, str] = {}
        self.calorimeter = small_calorimeter()
        self.description: dict[str, Any] = {
            "latent": {"size": 3, "distribution": "uniform"},
            "condition": ["energy", "theta"],
            "provenance": {
                "source": {"training_ranges": {"energy": [10e3, 100e3], "theta": [1.0, 2.0]}}
            },
        }
        self.failing = failing
        self.calls: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def run(self, condition: np.ndarray, noise: np.ndarray) -> np.ndarray:
        self.gate.wait(20)
        self.calls.append(len(condition))
        if (condition[:, 0] == np.float32(self.failing)).any():
            raise ZeroDivisionError("a mistake of the engine")
        energy = np.zeros((len(condition), self.calorimeter.n_cells), np.float32)
        energy[:, [3, 40, 77]] = 0.02 * condition[:, :1] * noise + 1.0
        return energy


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def client(toy: Toy) -> Iterator[TestClient]:
    geant4 = random_showers(9, toy.calorimeter)
    with TestClient(create_app(toy, "toy", geant4=geant4)) as opened:
        yield opened


def request(energy: list[float], **more: Any) -> dict[str, Any]:
    tensor = {"name": "energy", "shape": [len(energy)], "datatype": "FP64", "data": energy}
    return {"inputs": [tensor], "parameters": {"seed": 3}, **more}


def expected(toy: Toy, energy: list[float], seed: int = 3, first: int = 0) -> Showers:
    incident = Incident({"energy": energy})
    return Showers.concatenate(list(shower_batches(toy, incident, seed=seed, first=first)))


def tensors(response: httpx.Response) -> dict[str, np.ndarray]:
    body = response.json()
    return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in body["outputs"]}


# ----------------------------------------------------------------------- KServe


def test_health_and_metadata(client: TestClient) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/models/toy/ready").json() == {"ready": True, "name": "toy"}
    found = client.get("/v2/models/toy").json()
    assert [one["name"] for one in found["inputs"]] == ["energy", "theta"]
    assert found["outputs"][-1]["shape"] == [-1, 100]
    missing = client.get("/v2/models/other")
    assert missing.status_code == 404
    assert missing.json() == {"error": "no model 'other'; this service has 'toy'"}


def test_the_showers_are_those_of_generate(client: TestClient, toy: Toy) -> None:
    energy = [20e3, 50e3, 90e3]
    response = client.post(INFER, json=request(energy, id="mine"))
    assert response.status_code == 200, response.text
    body, found, right = response.json(), tensors(response), expected(toy, energy)
    assert (body["model_name"], body["id"], body["parameters"]["seed"]) == ("toy", "mine", 3)
    assert found["offset"].tolist() == right.offset.tolist()
    assert found["cell"].tolist() == right.cell.tolist()
    np.testing.assert_allclose(found["deposit"], right.energy, rtol=1e-6)
    later = client.post(INFER, json=request(energy[1:], parameters={"seed": 3, "first": 1}))
    assert tensors(later)["deposit"].tolist() == found["deposit"][3:].tolist()


def test_a_seed_is_drawn_and_told(client: TestClient) -> None:
    seeds = [
        client.post(INFER, json=request([5e4], parameters={})).json()["parameters"]["seed"]
        for _ in range(2)
    ]
    assert seeds[0] != seeds[1]


def test_all_cells_where_they_are_asked_for(client: TestClient, toy: Toy) -> None:
    response = client.post(INFER, json=request([2e4, 3e4], outputs=[{"name": "image"}]))
    np.testing.assert_allclose(
        tensors(response)["image"], expected(toy, [2e4, 3e4]).dense(), rtol=1e-6
    )


def test_binary_tensors_go_in_and_out(client: TestClient, toy: Toy) -> None:
    energy = np.array([20e3, 30e3])
    tensor = {"name": "energy", "shape": [2, 1], "datatype": "FP64"}
    tensor["parameters"] = {"binary_data_size": 16}  # type: ignore[assignment]
    head = {"inputs": [tensor], "parameters": {"seed": 3, "binary_data_output": True}}
    text = json.dumps(head).encode()
    body, headers = text + energy.tobytes(), {HEADER: str(len(text))}
    response = client.post(INFER, content=body, headers=headers)
    assert response.status_code == 200, response.text
    length = int(response.headers[HEADER])
    outputs, raw = json.loads(response.content[:length])["outputs"], response.content[length:]
    found = {}
    for one in outputs:
        size = one["parameters"]["binary_data_size"]
        kind = {"INT64": "<i8", "UINT32": "<u4", "FP32": "<f4"}[one["datatype"]]
        found[one["name"]], raw = np.frombuffer(raw[:size], kind), raw[size:]
    right = expected(toy, energy.tolist())
    assert not raw
    assert np.array_equal(found["cell"], right.cell)
    assert np.array_equal(found["deposit"], right.energy)
    assert np.array_equal(found["offset"], right.offset)


def test_what_lies_outside_is_told(client: TestClient) -> None:
    found = client.post(INFER, json=request([5e5])).json()["parameters"]["warning"]
    assert "energy: 1 of 1 showers at 500" in found


BROKEN: list[tuple[Any, str]] = [
    ({}, "inputs"),
    ({"inputs": []}, "inputs"),
    (request([]), "no particles"),
    (request([-1.0]), "not positive"),
    (request([5e4], parameters={"seed": 1.5}), "not a whole number"),
    (request([5e4], parameters={"seed": -1}), "give a whole number from 0"),
    (request([5e4], parameters={"seed": "x"}), "give a whole number"),
    (request([5e4], parameters={"first": 2**60}), "first"),
    (request([5e4], outputs=[{"name": "pixels"}]), "output 'pixels'"),
    (request([5e4], outputs=[]), "output ''"),
    ({"inputs": [{"name": "mass", "shape": [1], "datatype": "FP64", "data": [1]}]}, "'mass'"),
    ({"inputs": [{"name": "theta", "shape": [1], "datatype": "FP64", "data": [1]}]}, "energy"),
    ({"inputs": [{"name": "energy", "shape": [2], "datatype": "FP64", "data": [1]}]}, "needs 2"),
    ({"inputs": [{"name": "energy", "shape": [1], "datatype": "BOOL", "data": [1]}]}, "BOOL"),
    ({"inputs": [{"name": "energy", "shape": [1], "datatype": "FP64", "data": ["a"]}]}, "needs 1"),
    ({"inputs": [{"name": "energy", "shape": [1], "datatype": "FP64", "data": [True]}]}, "needs 1"),
    ({"inputs": [{"name": "energy", "shape": [1, 2], "datatype": "FP64", "data": [1]}]}, "shape"),
    ({"inputs": [{"name": "energy", "shape": [-1], "datatype": "FP64", "data": [1]}]}, "shape"),
    ({"inputs": [{"name": "energy", "shape": [1], "datatype": "FP64"}]}, "no data"),
    ({"inputs": [{"name": "energy", "shape": [1], "datatype": "FP64", "data": [10**400]}]}, ""),
    ([1, 2], "body"),
]


@pytest.mark.parametrize(("body", "message"), BROKEN)
def test_broken_requests_are_refused(client: TestClient, body: Any, message: str) -> None:
    response = client.post(INFER, content=json.dumps(body))
    assert response.status_code == 400, response.text
    assert message in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b"{", None),
        (b"\xff\xfe", None),
        (b"{}", "9"),
        (b"{}", "-1"),
        (b"{}", "9" * 30),
        (json.dumps(request([5e4])).encode() + b"more", str(len(json.dumps(request([5e4]))))),
    ],
)
def test_broken_bodies_are_refused(client: TestClient, body: bytes, header: str | None) -> None:
    headers = {} if header is None else {HEADER: header}
    response = client.post(INFER, content=body, headers=headers)
    assert response.status_code == 400, response.text
    assert response.json()["error"]


# -------------------------------------------------------------------- streaming


def test_a_stream_is_what_generate_writes(toy: Toy) -> None:
    with TestClient(create_app(toy, "toy", Limits(batch=8))) as client:
        response = client.get("/showers?energy=10:100&theta=80:100&n=20&seed=7")
    table = pa.ipc.open_stream(io.BytesIO(response.content)).read_all()
    incident = particles(20, "10:100", theta="80:100", seed=7)
    right = Showers.concatenate(list(shower_batches(toy, incident, seed=7)))
    assert table.schema.metadata[b"seed"] == b"7"
    np.testing.assert_allclose(table["energy"].to_numpy(), incident.energy, rtol=1e-6)
    assert np.concatenate(table["cell"].to_numpy()).tolist() == right.cell.tolist()
    found = np.concatenate(table["deposit"].to_numpy())
    np.testing.assert_allclose(found, right.energy, rtol=1e-5)
    assert sum(toy.calls) == 20 + 20
    assert len(table["cell"].chunks) == 3


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("energy=abc", 400, "--energy abc"),
        ("energy=-5", 400, "must be positive"),
        ("energy=50&n=0", 400, "at least one"),
        ("energy=50&n=x", 400, "n: "),
        ("energy=50&n=1000000", 413, "at most 10000"),
        ("energy=50&seed=-1", 400, "seed"),
        ("", 400, "energy"),
    ],
)
def test_broken_queries_are_refused(
    client: TestClient, query: str, status: int, message: str
) -> None:
    response = client.get(f"/showers?{query}")
    assert (response.status_code, message in response.json()["error"]) == (status, True)


# ---------------------------------------------------------------------- batches


def together(app: Any, *bodies: dict[str, Any]) -> list[httpx.Response]:
    """The responses to requests that are all sent before the first one is answered."""

    async def ask() -> list[httpx.Response]:
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                waiting = [asyncio.create_task(client.post(INFER, json=one)) for one in bodies]
                await asyncio.sleep(0.3)
                app.state.service.engine.gate.set()
                return await asyncio.gather(*waiting)

    return asyncio.run(ask())


def test_requests_share_batches_and_keep_their_showers(toy: Toy) -> None:
    toy.gate.clear()
    bodies = [request([8e3 * (k + 2)], parameters={"seed": k}) for k in range(10)]
    found = together(create_app(toy, "toy", Limits(batch=5, wait=0.2)), *bodies)
    assert toy.calls == [5, 5]
    for k, response in enumerate(found):
        right = expected(toy, [8e3 * (k + 2)], seed=k)
        np.testing.assert_allclose(tensors(response)["deposit"], right.energy, rtol=1e-6)


def test_long_requests_are_cut_into_batches(toy: Toy) -> None:
    toy.gate.clear()
    energy = np.linspace(1e4, 9e4, 20).tolist()
    found = together(create_app(toy, "toy", Limits(batch=6)), request(energy))
    assert toy.calls == [6, 6, 6, 2]
    np.testing.assert_allclose(
        tensors(found[0])["deposit"], expected(toy, energy).energy, rtol=1e-6
    )


def test_an_overload_is_refused_and_the_rest_is_served(toy: Toy) -> None:
    """Ten times as many as may wait."""
    toy.gate.clear()
    limits = Limits(showers=10, waiting=20, batch=5)
    app = create_app(toy, "toy", limits)
    found = together(app, *(request([5e4] * 10) for _ in range(20)))
    status = [response.status_code for response in found]
    assert (status.count(200), status.count(503)) == (2, 18)
    refused = next(response for response in found if response.status_code == 503)
    assert refused.headers["Retry-After"] == "1"
    assert "wait already" in refused.json()["error"]
    assert app.state.service.batcher._waiting == 0


def test_a_failing_engine_fails_one_request(toy: Toy) -> None:
    toy.failing = 33e3
    with TestClient(create_app(toy, "toy"), raise_server_exceptions=False) as client:
        assert client.post(INFER, json=request([33e3])).status_code == 500
        assert client.post(INFER, json=request([34e3])).status_code == 200


def test_an_impossible_shower_does_not_spoil_the_batch(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = toy.run

    def run(condition: np.ndarray, noise: np.ndarray) -> np.ndarray:
        energy = good(condition, noise)
        energy[condition[:, 0] == 33e3] = np.nan
        return energy

    monkeypatch.setattr(toy, "run", run)
    toy.gate.clear()
    app = create_app(toy, "toy", Limits(batch=3, wait=0.2))
    found = together(app, request([20e3]), request([33e3]), request([40e3]))
    assert [response.status_code for response in found] == [200, 400, 200]
    with pytest.raises(ModelError, match="impossible shower"):
        expected(toy, [33e3])


# ----------------------------------------------------------------------- limits


def test_large_requests_and_bodies_are_refused(toy: Toy) -> None:
    limits = Limits(showers=5, body=2000)
    with TestClient(create_app(toy, "toy", limits)) as client:
        many = client.post(INFER, json=request([5e4] * 6))
        assert (many.status_code, "at most 5" in many.text) == (413, True)
        long = client.post(INFER, json=request([5e4], id="x" * 3000))
        assert (long.status_code, "2000 bytes" in long.text) == (413, True)
        assert client.post(INFER, json=request([5e4] * 5)).status_code == 200


def test_images_beyond_the_memory_are_refused(toy: Toy) -> None:
    n = LARGEST // toy.calorimeter.n_cells + 1
    with TestClient(create_app(toy, "toy", Limits(showers=n, waiting=n, body=2**24))) as client:
        body = request([5e4] * n, outputs=[{"name": "image"}])
        refused = client.post(INFER, json=body)
        assert (refused.status_code, f"at most {n - 1}" in refused.text) == (413, True)
    assert toy.calls == []


def test_a_client_that_asks_too_often_is_told_to_wait(toy: Toy) -> None:
    with TestClient(create_app(toy, "toy", Limits(rate="3/minute"))) as client:
        status = [client.get("/v2").status_code for _ in range(5)]
        assert status == [200, 200, 200, 429, 429]
        refused = client.get("/v2")
        assert refused.headers["Retry-After"] == "60"
        assert "slow down" in refused.json()["error"]
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch": 0}, "--batch 0"),
        ({"wait": 2.0}, "--wait 2"),
        ({"showers": 100, "waiting": 10}, "could never wait"),
        ({"rate": "many"}, "--rate many"),
    ],
)
def test_limits_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Limits(**values)


def test_metrics_count(client: TestClient) -> None:
    client.post(INFER, json=request([5e4, 6e4]))
    client.get("/nowhere")
    text = client.get("/metrics").text
    assert "caloforge_showers_total 2.0" in text
    assert 'caloforge_requests_total{path="/v2/models/{name}/infer",status="200"} 1.0' in text
    assert 'caloforge_requests_total{path="other",status="404"} 1.0' in text
    assert "caloforge_waiting_showers 0.0" in text


# ------------------------------------------------------------------------- page


def test_the_page_and_its_showers(client: TestClient) -> None:
    assert "<title>Caloforge" in client.get("/").text
    assert len(client.get("/plotly.js").content) > 1_000_000
    about = client.get("/view/about").json()
    assert (about["name"], about["energy"], about["geant4"]) == ("toy", [10.0, 100.0], True)
    made = client.get("/view/generated?energy=50&theta=80&seed=1").json()
    assert (made["energy"], made["theta"]) == (50.0, pytest.approx(80.0))
    assert len(made["x"]) == len(made["deposit"]) == 3
    assert made["deposited"] == pytest.approx(sum(made["deposit"]), rel=1e-3)
    real = client.get("/view/geant4?energy=50").json()
    known = client.app.state.service.geant4.incident.energy / 1e3  # type: ignore[attr-defined]
    assert abs(real["energy"] - 50) == pytest.approx(np.abs(known - 50).min())
    assert min(real["deposit"]) >= about["threshold"]
    for column, (low, high) in zip("zxy", about["box"], strict=True):
        assert low <= min(real[column]) <= max(real[column]) <= high


def test_the_page_of_a_model_that_wants_more_columns(toy: Toy) -> None:
    toy.description |= {"condition": ["energy", "phi", "pdg"], "particles": [22, 11]}
    with TestClient(create_app(toy, "toy")) as client:
        assert client.get("/view/generated?energy=50").json()["energy"] == 50.0


def test_without_geant4_the_page_says_so(toy: Toy) -> None:
    with TestClient(create_app(toy, "toy")) as client:
        assert client.get("/view/about").json()["geant4"] is False
        missing = client.get("/view/geant4")
        assert (missing.status_code, "--reference" in missing.text) == (404, True)


def test_the_shipped_model_is_served() -> None:
    engine = open_engine(SHIPPED)
    with TestClient(create_app(engine, SHIPPED)) as client:
        response = client.get("/showers?energy=20,40&n=2&seed=5")
        warned = client.get("/showers?energy=500&seed=5")
        far = {"name": "x", "shape": [1], "datatype": "FP64", "data": [3e38]}
        body = request([5e4])
        absurd = {**body, "inputs": [*body["inputs"], far, {**far, "name": "y", "data": [0.0]}]}
        refused = client.post(f"/v2/models/{SHIPPED}/infer", json=absurd)
        assert (refused.status_code, "far beyond" in refused.text) == (400, True)
        assert client.post(f"/v2/models/{SHIPPED}/infer", json=body).status_code == 200
    table = pa.ipc.open_stream(io.BytesIO(response.content)).read_all()
    beam = particles(2, "20,40", seed=5)
    right = Showers.concatenate(list(shower_batches(engine, beam, seed=5)))
    found = np.concatenate(table["deposit"].to_numpy())
    np.testing.assert_allclose(found, right.energy, rtol=1e-5)
    about = pa.ipc.open_stream(io.BytesIO(warned.content)).schema.metadata[b"warning"]
    assert b"trained on" in about


# ------------------------------------------------------------------------- fuzz


fuzzed = schemathesis.openapi.from_asgi("/openapi.json", create_app(Toy(), "toy"))


@fuzzed.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_is_a_mistake_of_ours(case: Any) -> None:
    """Whatever the description allows, and what it does not: an answer as described, no 5xx."""
    if "name" in (case.path_parameters or {}):
        case.path_parameters["name"] = "toy"
    response = case.call()
    assert response.status_code < 500 or response.status_code == 503, response.text
    if response.status_code == 200 and "json" in response.headers.get("content-type", [""])[0]:
        case.validate_response(response, checks=[response_schema_conformance])
