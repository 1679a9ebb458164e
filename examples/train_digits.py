"""A training that reports every batch: a neural network learns scikit-learn's handwritten digits in a few seconds.

    synapse-otel run examples/train_digits.py --params '{"epochs": 30}' --job-id digits

Progress and the loss go out on each of some 5,000 batches, accuracy, loss and learning rate after each epoch; what a
user wants to read is a message, what a program wants to know is an event, what only a developer wants is a dev event.
A report costs about a microsecond, a batch about a millisecond, so there is no reason to thin the reports out.
"""

import math
import pickle
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, DirectoryPath, Field
from sklearn import datasets, metrics, model_selection
from sklearn.neural_network import MLPClassifier

from synapse_otel import RuntimeContext, action

DIGITS = np.arange(10)
DECAY = 0.25


class TrainParams(BaseModel):
    epochs: int = Field(default=30, ge=1, le=100)
    batch_size: int = Field(default=8, ge=1, le=1024)
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="At the first sample; it falls from there.")
    hidden_size: int = Field(default=64, ge=1, le=1024)
    seed: int = Field(default=0, ge=0, lt=2**32)
    output_dir: DirectoryPath | None = Field(default=None, description="A new temporary directory by default.")


class Split(NamedTuple):
    images: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]


class Score(NamedTuple):
    accuracy: float
    loss: float


@action(params=TrainParams, description="Train a classifier of handwritten digits")
def train_digits(params: TrainParams, ctx: RuntimeContext) -> dict[str, Any]:
    with ctx.step("load"):
        training, validation, test = load(params.seed)
        sizes = {"train": len(training.labels), "validation": len(validation.labels), "test": len(test.labels)}
        ctx.log("dataset_loaded", {"name": "digits", "sizes": sizes, "pixels": training.images.shape[1]})
    with ctx.step("train"):
        checkpoint = train(params, training, validation, ctx)
    with ctx.step("evaluate"):
        accuracy = evaluate(checkpoint, test, ctx)
    ctx.log_message(f"Recognised {accuracy:.1%} of {len(test.labels)} digits that it had never seen", "success")
    return {"accuracy": accuracy, "epochs": params.epochs, "checkpoint": str(checkpoint)}


def load(seed: int) -> tuple[Split, Split, Split]:
    """Return 70, 15 and 15 % of the digits: to train on, to choose the checkpoint by, and to test with."""
    images, labels = datasets.load_digits(return_X_y=True)
    images, others, labels, other_labels = model_selection.train_test_split(
        images / 16, labels, test_size=0.3, random_state=seed, stratify=labels
    )
    halves = model_selection.train_test_split(
        others, other_labels, test_size=0.5, random_state=seed, stratify=other_labels
    )
    return Split(images, labels), Split(halves[0], halves[2]), Split(halves[1], halves[3])


def train(params: TrainParams, training: Split, validation: Split, ctx: RuntimeContext) -> Path:
    """Train epoch by epoch and return where the best checkpoint is."""
    model, random = build(params), np.random.default_rng(params.seed)
    ctx.log_dev_event("model built", model.get_params())
    ctx.log_message(f"Training on {len(training.labels)} digits for {params.epochs} epochs")
    ctx.set_progress(0, params.epochs, "epochs")
    checkpoint = (params.output_dir or Path(tempfile.mkdtemp(prefix="train_digits-"))) / "digits.pkl"
    best, last = -1.0, math.inf
    for epoch in range(1, params.epochs + 1):
        train_epoch(model, shuffled(training, params.batch_size, random), epoch, params.epochs, ctx)
        score = validate(model, validation)
        rate = params.learning_rate / model.t_**DECAY
        ctx.set_metrics({"accuracy": score.accuracy, "loss": score.loss, "learning_rate": rate}, "validation")
        ctx.set_progress(epoch, params.epochs, "epochs")
        if score.accuracy > best:
            best = score.accuracy
            checkpoint.write_bytes(pickle.dumps(model))
            ctx.log_message(f"Epoch {epoch}: accuracy {best:.1%}, the best so far")
            ctx.log("checkpoint_saved", {"epoch": epoch, "accuracy": best}, file=str(checkpoint))
        if score.loss > last:
            ctx.log_message(f"Epoch {epoch}: the validation loss rose from {last:.4f} to {score.loss:.4f}", "warning")
        last = score.loss
    return checkpoint


def train_epoch(model: MLPClassifier, batches: list[Split], epoch: int, epochs: int, ctx: RuntimeContext) -> None:
    started = time.perf_counter()
    for number, batch in enumerate(batches, start=(epoch - 1) * len(batches) + 1):
        model.partial_fit(batch.images, batch.labels, classes=DIGITS)
        ctx.set_progress(number, epochs * len(batches), "train")
        ctx.set_metrics({"loss": model.loss_}, "train")
    ctx.log_dev_event("epoch timed", {"epoch": epoch, "seconds": time.perf_counter() - started})


def build(params: TrainParams) -> MLPClassifier:
    return MLPClassifier(
        hidden_layer_sizes=(params.hidden_size,),
        solver="sgd",
        learning_rate="invscaling",
        learning_rate_init=params.learning_rate,
        power_t=DECAY,
        random_state=params.seed,
    )


def shuffled(split: Split, size: int, random: np.random.Generator) -> list[Split]:
    order = random.permutation(len(split.labels))
    chosen = (order[start : start + size] for start in range(0, len(order), size))
    return [Split(split.images[indices], split.labels[indices]) for indices in chosen]


def validate(model: MLPClassifier, split: Split) -> Score:
    probabilities = model.predict_proba(split.images)
    accuracy = float(np.mean(probabilities.argmax(axis=1) == split.labels))
    return Score(accuracy, float(metrics.log_loss(split.labels, probabilities, labels=DIGITS)))


def evaluate(checkpoint: Path, test: Split, ctx: RuntimeContext) -> float:
    """Return the accuracy of the best checkpoint on digits that nothing was chosen by."""
    model = pickle.loads(checkpoint.read_bytes())
    score = validate(model, test)
    ctx.set_metrics({"accuracy": score.accuracy, "loss": score.loss}, "test")
    ctx.log("evaluated", {"accuracy": score.accuracy, "loss": score.loss}, file=str(checkpoint))
    ctx.log_dev_event("confusion matrix", {"matrix": metrics.confusion_matrix(test.labels, model.predict(test.images))})
    return score.accuracy
