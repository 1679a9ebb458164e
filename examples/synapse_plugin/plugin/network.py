"""A neural network with one hidden layer, in plain Python: slow, but there is nothing to install."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from random import Random

Point = tuple[float, float, float]
Sample = tuple[Point, bool]


def scan(points: int, seed: int) -> list[Sample]:
    """Return a made-up scan of a hilly street: points, and whether each belongs to an obstacle."""
    random, samples = Random(seed), []
    for _ in range(points):
        x, y, obstacle = random.uniform(-3, 3), random.uniform(-3, 3), random.random() < 0.5
        above = random.uniform(0.3, 1.5) if obstacle else random.gauss(0, 0.1)
        samples.append(((x, y, 0.5 * math.sin(x) + above), obstacle))
    return samples


class Network:
    def __init__(self, hidden: list[list[float]], output: list[float]) -> None:
        self.hidden = hidden
        self.output = output

    @classmethod
    def random(cls, size: int, seed: int) -> "Network":
        random = Random(seed)
        return cls([[random.gauss(0, 1) for _ in range(4)] for _ in range(size)], [0.0] * (size + 1))

    @classmethod
    def load(cls, path: Path) -> "Network":
        weights = json.loads(path.read_text())
        return cls(weights["hidden"], weights["output"])

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"hidden": self.hidden, "output": self.output}))

    def learn(self, sample: Sample, rate: float) -> float:
        """Adapt the weights to a sample and return the loss that it had before."""
        (x, y, z), obstacle = sample
        active, probability = self._forward(x, y, z)
        error = probability - obstacle
        for unit, value in enumerate(active):
            back = rate * error * self.output[unit] * (1 - value * value)
            weights = self.hidden[unit]
            weights[0] -= back * x
            weights[1] -= back * y
            weights[2] -= back * z
            weights[3] -= back
            self.output[unit] -= rate * error * value
        self.output[-1] -= rate * error
        return -math.log(max(probability if obstacle else 1 - probability, 1e-12))

    def accuracy(self, samples: Iterable[Sample]) -> float:
        hits = [(self._forward(*point)[1] > 0.5) == obstacle for point, obstacle in samples]
        return sum(hits) / len(hits)

    def _forward(self, x: float, y: float, z: float) -> tuple[list[float], float]:
        active = [math.tanh(a * x + b * y + c * z + d) for a, b, c, d in self.hidden]
        total = self.output[-1] + sum(weight * value for weight, value in zip(self.output, active, strict=False))
        return active, 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))
