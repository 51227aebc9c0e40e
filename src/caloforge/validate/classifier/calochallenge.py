"""The CaloChallenge's own classifier test, to the letter: minutes on a GPU, hours on a CPU.

torch is imported inside the functions: importing this module stays cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caloforge.observables import Floats
from caloforge.validate.classifier.area import MIN_SHOWERS
from caloforge.validate.classifier.calibration import calibrated, divergence

if TYPE_CHECKING:
    import torch

HIDDEN = 2048
HIDDEN_LAYERS = 2
SLOPE = 0.01
LEARNING_RATE = 2e-4
BATCH = 1000
EPOCHS = 50
SHARES = (0.6, 0.2)

Progress = Callable[[str], None]
Build = Callable[[int], Any]
Rows = NDArray[np.int64]
Figures = dict[str, float | int | None]


def calochallenge_network(features: int, hidden: int = HIDDEN) -> torch.nn.Sequential:
    """Linear(d, 2048), two Linear(2048, 2048), LeakyReLU(0.01) after each, Linear(2048, 1).

    float64, no dropout; the output is a logit. Source: CaloChallenge.
    """
    import torch

    layers: list[torch.nn.Module] = []
    width = features
    for _ in range(1 + HIDDEN_LAYERS):
        layers += [torch.nn.Linear(width, hidden, dtype=torch.float64), torch.nn.LeakyReLU(SLOPE)]
        width = hidden
    return torch.nn.Sequential(*layers, torch.nn.Linear(hidden, 1, dtype=torch.float64))


class Pool:
    """The rows of two samples, unpacked to dense float64 tensors one batch at a time.

    ``reference`` and ``generated`` are arrays or CSR matrices with equal numbers of rows, which
    stay as they are in memory; row n + k is row k of ``generated``, which has label 1.
    """

    def __init__(self, reference: Any, generated: Any, device: torch.device) -> None:
        self.samples = (reference, generated)
        self.n = reference.shape[0]
        self.device = device

    def labels(self, rows: Rows) -> Floats:
        """0 for the reference, 1 for the generated sample."""
        return np.asarray(rows >= self.n, dtype=np.float64)

    def batch(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (rows, d) and labels (rows, 1) on the device, float64."""
        import torch

        order = np.concatenate([rows[rows < self.n], rows[rows >= self.n]])
        parts = [self.samples[0][order[order < self.n]]]
        parts.append(self.samples[1][order[order >= self.n] - self.n])
        dense = [part if isinstance(part, np.ndarray) else part.toarray() for part in parts]
        x = torch.as_tensor(np.concatenate(dense)).to(self.device).to(torch.float64)
        y = torch.as_tensor(self.labels(order)[:, None]).to(self.device)
        return x, y

    def probabilities(self, model: Any, rows: Rows) -> Floats:
        """The model's probability of label 1 for ``rows`` (increasing)."""
        import torch

        model.eval()
        with torch.no_grad():
            parts = [model(self.batch(part)[0]) for part in _batches(rows)]
            return np.asarray(torch.sigmoid(torch.cat(parts)).cpu().numpy()[:, 0], np.float64)


def _batches(rows: Rows) -> list[Rows]:
    """Parts of 1000 rows; a last row alone (no batch normalisation of one) joins its neighbour."""
    cuts = list(range(BATCH, len(rows), BATCH))
    if cuts and len(rows) - cuts[-1] == 1:
        cuts.pop()
    return list(np.split(rows, cuts))


def split_rows(n: int, rng: np.random.Generator) -> list[Rows]:
    """Row numbers for training, test and validation: 60/20/20 of each sample, rounded down."""
    cuts = np.cumsum([int(share * n) for share in SHARES])
    halves = [np.split(start + rng.permutation(n), cuts) for start in (0, n)]
    return [np.sort(np.concatenate(pair)) for pair in zip(*halves, strict=True)]


def accuracy(probability: Floats, label: Floats) -> float:
    """Share of showers whose rounded probability is their label (1/2 rounds to 0)."""
    return float(np.mean((probability > 0.5) == (label > 0.5)))


def train_best(
    model: Any,
    pool: Pool,
    train: Rows,
    test: Rows,
    *,
    epochs: int,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> list[float]:
    """Adam 2e-4, batches of 1000, binary cross entropy; leaves the best epoch in ``model``.

    Returns:
        The accuracy on ``test`` after each epoch. The first epoch with the highest one counts;
        training ends early only where it is 1.
    """
    import torch

    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    loss_of = torch.nn.BCEWithLogitsLoss()
    history: list[float] = []
    best: dict[str, Any] = {}
    for epoch in range(epochs):
        model.train()
        for rows in _batches(rng.permutation(train)):
            x, y = pool.batch(rows)
            optimiser.zero_grad()
            loss_of(model(x), y).backward()
            optimiser.step()
        history.append(accuracy(pool.probabilities(model, test), pool.labels(test)))
        if progress is not None:
            progress(f"epoch {epoch + 1} of {epochs}: accuracy {history[-1]:.4f}")
        if history[-1] > max(history[:-1], default=-1.0):
            best = {name: value.detach().clone() for name, value in model.state_dict().items()}
        if history[-1] == 1.0:
            break
    model.load_state_dict(best)
    return history


def network_test(
    build: Build,
    features_ref: Any,
    features_gen: Any,
    *,
    seed: int,
    device: str | None = None,
    epochs: int = EPOCHS,
    progress: Progress | None = None,
) -> Figures:
    """The CaloChallenge's test with the network ``build(d)``: see :func:`calochallenge_classifier`.

    The global random state of torch is left as it was.
    """
    import torch
    from sklearn.metrics import roc_auc_score

    n = min(features_ref.shape[0], features_gen.shape[0])
    names = ("auc", "auc_raw", "jsd", "accuracy", "best_epoch")
    if n < MIN_SHOWERS:
        nothing: Figures = dict.fromkeys(names)
        return nothing | {"epochs": 0, "showers": n}
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    rng = np.random.default_rng(seed)
    first, second = (
        f[np.sort(rng.permutation(f.shape[0])[:n])] for f in (features_ref, features_gen)
    )
    pool = Pool(first, second, where)
    train, test, validation = split_rows(n, rng)
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(seed)
        model = build(features_ref.shape[1]).to(where)
        history = train_best(model, pool, train, test, epochs=epochs, rng=rng, progress=progress)
    raw = pool.probabilities(model, validation)
    fair = calibrated(pool.probabilities(model, test), pool.labels(test), raw)
    label = pool.labels(validation)
    best = int(np.argmax(history))
    return {
        "auc": float(roc_auc_score(label, fair)),
        "auc_raw": float(roc_auc_score(label, raw)),
        "jsd": divergence(fair, label),
        "accuracy": history[best],
        "best_epoch": best + 1,
        "epochs": len(history),
        "showers": n,
    }


def calochallenge_classifier(
    features_ref: Any,
    features_gen: Any,
    *,
    seed: int,
    device: str | None = None,
    epochs: int = EPOCHS,
    progress: Progress | None = None,
) -> Figures:
    """The classifier test of the CaloChallenge, exactly.

    Equal numbers of both samples, split 60/20/20 into training, test and validation. The network
    of :func:`calochallenge_network`, float64, Adam 2e-4, batches of 1000, 50 epochs, binary cross
    entropy; the epoch with the best accuracy on the test split counts (1: it ends). Its scores are
    calibrated by isotonic regression on the test split; AUC and divergence on the validation split.

    Args:
        features_ref: (n, d) features of the reference, an array or a CSR matrix of any float
            type: :func:`calochallenge_low`, :func:`calochallenge_low_normed` or
            :func:`high_level_features`. Only a batch at a time is made dense float64.
        features_gen: the same of the generated showers.
        seed: fixes the split, the start and the order of the showers.
        device: where it runs, as torch names it; a GPU where there is one by default.
        epochs: the CaloChallenge has 50.
        progress: is told the accuracy after each epoch.

    Returns:
        ``auc`` (calibrated, the published figure), ``auc_raw``, ``jsd`` (bits), ``accuracy`` on
        the test split, ``best_epoch`` (from 1), ``epochs`` that ran, ``showers`` a side. None in
        place of the first five with fewer than 10 showers a side.

    Source: CaloChallenge (arXiv:2410.21611), classifier test and its public evaluation code.
    """
    return network_test(
        calochallenge_network,
        features_ref,
        features_gen,
        seed=seed,
        device=device,
        epochs=epochs,
        progress=progress,
    )
