"""The example of a training that reports every batch."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from synapse_otel.testing import Telemetry

EPOCHS = 4
BATCHES = 79
SMALL = {"epochs": EPOCHS, "batch_size": 16, "hidden_size": 32}


@pytest.fixture
def train_digits(load: Callable[[str, str], Any]) -> Any:
    return load("train_digits", "train_digits")


def values(telemetry: Telemetry, key: str, category: str) -> list[float]:
    """The samples of a metric, in their order."""
    points = telemetry.collector.points_of(f"synapse.metric.{key}", **{"synapse.category": category})
    return [point.value for point in sorted(points, key=lambda point: point.time_ns)]


def events(telemetry: Telemetry, name: str) -> list[dict[str, Any]]:
    return [log.attributes for log in telemetry.logs if log.event_name == name]


def test_the_run_is_a_tree_of_steps_and_phases(train_digits: Any, run: Any, telemetry: Telemetry, outline: Any) -> None:
    """Loading, training and evaluating are steps of the run; epochs and batches are phases of the training."""
    run(train_digits, **SMALL)
    assert outline() == ["ok train_digits", "  ok load", "  ok train", "    ok epochs", "    ok train", "  ok evaluate"]
    final = {
        span.name: (span.attributes["synapse.progress.current"], span.attributes["synapse.progress.total"])
        for span in telemetry.spans
        if "synapse.category" in span.attributes
    }
    assert final == {"epochs": (EPOCHS, EPOCHS), "train": (EPOCHS * BATCHES, EPOCHS * BATCHES)}


def test_every_batch_and_every_epoch_is_a_sample(train_digits: Any, run: Any, telemetry: Telemetry) -> None:
    """The whole curve arrives: a loss per batch, with a time of its own, and three numbers per epoch."""
    run(train_digits, **SMALL)
    loss = telemetry.collector.points_of("synapse.metric.loss", **{"synapse.category": "train"})
    assert len({point.time_ns for point in loss}) == len(loss) == EPOCHS * BATCHES
    curve = values(telemetry, "loss", "train")
    assert np.mean(curve[-BATCHES:]) < 0.5 * np.mean(curve[:BATCHES])
    assert len(values(telemetry, "accuracy", "validation")) == len(values(telemetry, "loss", "validation")) == EPOCHS
    rates = values(telemetry, "learning_rate", "validation")
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == EPOCHS


def test_messages_tell_the_story(train_digits: Any, run: Any, telemetry: Telemetry) -> None:
    """The start, each improvement and the success are told in their order, each improvement with its checkpoint."""
    result = run(train_digits, **SMALL)
    accuracies = values(telemetry, "accuracy", "validation")
    best = [at for at, accuracy in enumerate(accuracies) if accuracy > max(accuracies[:at], default=0)]
    told = [
        (log.severity_text, log.body)
        for log in telemetry.logs
        if log.event_name == "synapse.message" and log.severity_text != "warning"
    ]
    assert told == [
        ("info", f"Training on 1257 digits for {EPOCHS} epochs"),
        *[("info", f"Epoch {at + 1}: accuracy {accuracies[at]:.1%}, the best so far") for at in best],
        ("success", f"Recognised {result['accuracy']:.1%} of 270 digits that it had never seen"),
    ]
    saved = [(event["epoch"], event["accuracy"]) for event in events(telemetry, "checkpoint_saved")]
    assert saved == [(at + 1, accuracies[at]) for at in best]


def test_a_validation_that_gets_worse_is_a_warning(train_digits: Any, run: Any, telemetry: Telemetry) -> None:
    """With too high a learning rate there is a warning for just those epochs in which the validation loss rose."""
    run(train_digits, epochs=6, batch_size=16, hidden_size=16, learning_rate=0.5)
    losses = values(telemetry, "loss", "validation")
    rose = [at + 1 for at in range(1, len(losses)) if losses[at] > losses[at - 1]]
    warnings = [log.body for log in telemetry.logs if log.severity_text == "warning"]
    assert rose
    assert [int(re.findall(r"\d+", warning)[0]) for warning in warnings] == rose
    assert warnings[0] == (
        f"Epoch {rose[0]}: the validation loss rose from {losses[rose[0] - 2]:.4f} to {losses[rose[0] - 1]:.4f}"
    )


def test_the_checkpoint_recognises_digits(
    train_digits: Any, run: Any, telemetry: Telemetry, temporary_files: Path, tmp_path: Path
) -> None:
    """The checkpoint is in the directory asked for, the events name it, and what is loaded from it predicts."""
    result = run(train_digits, **SMALL, output_dir=tmp_path)
    checkpoint = tmp_path / "digits.pkl"
    assert result == {"accuracy": result["accuracy"], "epochs": EPOCHS, "checkpoint": str(checkpoint)}
    assert 0.85 < result["accuracy"] <= 1
    images, labels = load_digits(return_X_y=True)
    assert pickle.loads(checkpoint.read_bytes()).score(images / 16, labels) > 0.85
    named = [event["file.path"] for name in ("checkpoint_saved", "evaluated") for event in events(telemetry, name)]
    assert set(named) == {str(checkpoint)}
    assert list(temporary_files.iterdir()) == []


def test_developers_get_the_details(train_digits: Any, run: Any, telemetry: Telemetry) -> None:
    """The model's settings, the time of each epoch and the confusion matrix are dev events, and of no span."""
    run(train_digits, **SMALL)
    details = [log for log in telemetry.logs if log.event_name == "synapse.dev_event"]
    assert [log.body for log in details] == ["model built", *["epoch timed"] * EPOCHS, "confusion matrix"]
    assert details[0].attributes["solver"] == "sgd"
    assert np.sum(details[-1].attributes["matrix"]) == 270
    assert "model built" not in {event.name for span in telemetry.spans for event in span.events}


def test_the_seed_decides(train_digits: Any, run: Any, telemetry: Telemetry) -> None:
    """The same seed gives the same curve and the same result, another one does not."""
    results, curves = [], []
    for seed in (1, 1, 2):
        telemetry.collector.clear()
        results.append(run(train_digits, **SMALL | {"epochs": 1}, seed=seed)["accuracy"])
        curves.append(values(telemetry, "loss", "train"))
    assert results[0] == results[1]
    assert curves[0] == curves[1] != curves[2]
