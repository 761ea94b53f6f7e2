"""What the guidance scale buys and what it costs: ContextUNet on sprites at scales 0 to 8.

    uv run python benchmarks/guidance.py          # about 15 minutes on two CPU cores

Writes data/results/guidance.csv, which lesson 05 plots: for 1,000 samples at each scale (200 of each class, DDIM, 25
steps) the share that the classifier takes for what was asked for, how far apart two samples of one class are in the
classifier's features, and the Fréchet distance to the real test sprites; each with its standard error. In the row
"real" a thousand training sprites stand in the samples' place: the floor.
"""

from __future__ import annotations

import argparse
import math

import torch
from measured import replacing

from ddpm_teach import (
    Moments,
    Sampler,
    course_path,
    diversity,
    frechet,
    in_parts,
    load,
    load_classifier,
    load_model,
)

SCALES = (0, 0.5, 1, 1.5, 2, 3, 4, 6, 8)
PARTS, LABELS = 5, torch.arange(5).repeat(40)  # five times 200 samples, 40 of each class


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scales", type=float, nargs="+", default=SCALES)
    args = parser.parse_args()
    test, classifier = load("sprites", "test"), load_classifier("sprites")
    reference = Moments.of(in_parts(classifier.features, test.pictures(slice(None))))
    path = course_path("data") / "results" / "guidance.csv"
    columns = ["scale", "n", "accuracy", "accuracy_error", "diversity", "diversity_error", "frechet", "error"]
    with replacing(path, columns) as write:

        def report(name: str, features: list[torch.Tensor]) -> None:
            n = len(features) * len(LABELS)
            right = (classifier.head(torch.cat(features)).argmax(1) == LABELS.repeat(PARTS)).float().mean().item()
            apart = torch.tensor([diversity(part, LABELS) for part in features])
            distance = frechet([Moments.of(part) for part in features], reference)
            numbers = (right, math.sqrt(right * (1 - right) / n), apart.mean(), apart.std() / math.sqrt(PARTS))
            write([name, n, *(f"{number:.4f}" for number in (*numbers, *distance))])
            print(name, *(f"{number:.3f}" for number in (*numbers, *distance)), flush=True)

        with torch.no_grad():
            report("real", [classifier.features(part) for part in real_parts()])
            for scale in args.scales:
                report(f"{scale:g}", [classifier.features(draw(scale, seed)) for seed in range(PARTS)])


def real_parts() -> list[torch.Tensor]:
    """Training sprites in the place of samples: PARTS batches, labelled LABELS."""
    sprites = load("sprites")
    shuffled = sprites.subset(torch.randperm(len(sprites), generator=torch.Generator().manual_seed(0)))
    of_class = torch.stack([(shuffled.labels == k).nonzero().flatten()[: 40 * PARTS] for k in range(5)])
    return [shuffled.pictures(index.T.flatten()) for index in of_class.split(40, dim=1)]


def draw(scale: float, seed: int) -> torch.Tensor:
    """One part; the same noise at every scale."""
    return drawn(Sampler("ddim", steps=25, guidance_scale=scale), seed)


def drawn(sampler: Sampler, seed: int) -> torch.Tensor:
    """A sample for each of LABELS."""
    model = load_model("sprites-context")
    *_, last = sampler.frames(model, len(LABELS), model.context(*model.classes)[LABELS], seed)
    return last.x


if __name__ == "__main__":
    main()
