"""The training that is slowed down: scikit-learn's digits, a batch at a time."""

from __future__ import annotations

import warnings

from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

BATCH = 200
HIDDEN = 512


class Training:
    """A small network that learns digits, batch by batch, for ever."""

    def __init__(self) -> None:
        threadpool_limits(1)  # with more, the loop measures how the threads of BLAS get into each other's way
        warnings.filterwarnings("ignore")
        images, labels = load_digits(return_X_y=True)
        self._batches = [(images[i : i + BATCH], labels[i : i + BATCH]) for i in range(0, len(images) - BATCH, BATCH)]
        self._network = MLPClassifier(hidden_layer_sizes=(HIDDEN,), batch_size=BATCH, random_state=0)
        self._network.partial_fit(*self._batches[0], classes=list(range(10)))
        self._number = 0

    def step(self) -> float:
        """Learn one batch; return the loss."""
        self._number += 1
        self._network.partial_fit(*self._batches[self._number % len(self._batches)])
        return float(self._network.loss_)
