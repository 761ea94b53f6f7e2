"""How good are samples? A classifier's opinion of them. Lesson 08."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ddpm_teach.nets import Classifier
from ddpm_teach.paths import course_path
from ddpm_teach.weights import load_weights

CLASSIFIERS = ("sprites", "mnist")


def load_classifier(name: str) -> Classifier:
    """A classifier that comes with the course, by its data set's name: "sprites" or "mnist" (28×28).

    Raises:
        ValueError: for another name, or a damaged file.
    """
    if name not in CLASSIFIERS:
        raise ValueError(f"name: no classifier for {name!r}; there is one for {' and '.join(CLASSIFIERS)}")
    return load_weights(course_path(f"data/weights/{name}-classifier.safetensors"))[0]


@torch.no_grad()
def class_accuracy(classifier: Classifier, x: Float[Tensor, "b c h w"], labels: Tensor) -> float:
    """The share of pictures (in [-1, 1]) that the classifier takes for their label (b,)."""
    predicted = torch.cat([classifier(part).argmax(1) for part in x.split(1000)])
    return (predicted == labels).float().mean().item()
