"""What lesson 05 says of contexts, measured on sprites: a stronger context against guidance, and negative prompts.

    uv run python benchmarks/contexts.py          # about 6 minutes on two CPU cores

Writes data/results/contexts.csv: 1,000 samples whose context is the class's times a strength, without guidance (200 of
each class, with the noise and the sampler of benchmarks/guidance.py, whose rows stand beside these in the lesson); the
share that the classifier takes for their class and the Fréchet distance to the test sprites, with standard errors.
And data/results/negatives.csv: 100 samples, the same noise in all rows, guided at scale 2 from no condition, or from a
negative one, towards another; how many the classifier takes for the wanted and for the unwanted class, and of how
many it is surer than 90 % that they are the wanted one.
"""

from __future__ import annotations

import torch
from guidance import LABELS, PARTS
from measured import replacing

from ddpm_teach import (
    Measured,
    Moments,
    Sampler,
    clipped,
    course_path,
    ddim_step,
    frechet,
    guided,
    in_parts,
    load,
    load_classifier,
    load_model,
    trailing,
    walk,
)

STRENGTHS = (1.5, 2, 3, 4)
WANTED = {"hero": "side hero", "food": "potion", "food and potion": "potion", "anything": "hero"}  # what: what not
SCALE, N = 2.0, 100


@torch.no_grad()
def main() -> None:
    results = course_path("data") / "results"
    columns = ["strength", "n", "accuracy", "accuracy_error", "frechet", "error"]
    with replacing(results / "contexts.csv", columns) as write:
        test, classifier = load("sprites", "test"), load_classifier("sprites")
        reference = Moments.of(in_parts(classifier.features, test.pictures(slice(None))))
        for strength in STRENGTHS:
            features = [classifier.features(stronger(strength, seed)) for seed in range(PARTS)]
            write(strength_row(strength, features, reference))
    with replacing(results / "negatives.csv", ["wanted", "negative", "n", "named", "other", "sure"]) as write:
        for wanted, unwanted in WANTED.items():
            for negative in ("", unwanted):
                write(negative_row(wanted, unwanted, negative))


def strength_row(strength: float, features: list[torch.Tensor], reference: Moments) -> list:
    named = load_classifier("sprites").head(torch.cat(features)).argmax(1) == LABELS.repeat(PARTS)
    share = Measured.share(int(named.sum()), len(named))
    distance = frechet([Moments.of(part) for part in features], reference)
    print(strength, share, distance, flush=True)
    return [strength, len(named), *(f"{number:.4f}" for number in (*share, *distance))]


def stronger(strength: float, seed: int) -> torch.Tensor:
    """A sample for each of LABELS, told its class `strength` times."""
    model = load_model("sprites-context")
    contexts = strength * model.context(*model.classes)[LABELS]
    *_, last = Sampler("ddim", steps=25).frames(model, len(LABELS), contexts, seed)
    return last.x


def negative_row(wanted: str, unwanted: str, negative: str) -> list:
    """How many are named as wanted (for "food and potion": food), and as unwanted."""
    model, classifier = load_model("sprites-context"), load_classifier("sprites")
    names = [] if wanted == "anything" else wanted.split(" and ")
    context = model.context(*names).mean(0, keepdim=True) if names else torch.zeros(1, len(model.classes))
    null = model.context(negative) if negative else torch.zeros(1, len(model.classes))
    step = ddim_step(clipped(model.read(guided(model.net, context, SCALE, null)), model.schedule), model.schedule)
    *_, last = walk(step, model.noise(N, torch.Generator().manual_seed(0)), trailing(model.schedule.T, 25))
    sure = classifier(last.x).softmax(1)
    counts = sure.argmax(1).bincount(minlength=len(model.classes)).tolist()
    first = model.classes.index(names[0]) if names else None
    row = [wanted, negative, N, "" if first is None else counts[first], counts[model.classes.index(unwanted)]]
    print(*row, flush=True)
    return [*row, "" if first is None else int((sure[:, first] > 0.9).sum())]


if __name__ == "__main__":
    main()
