"""Makes the weight files of this folder.

    python make_weights.py classifier sprites                   # trains a judge of samples, one to five minutes
    python make_weights.py classifier mnist
    python make_weights.py sprites ../../runs/sprites/last.pt   # from the run of `ddpm-teach train sprites`
    python make_weights.py mnist ../../runs/mnist/last.pt
    python make_weights.py mnist32 ../../runs/mnist32/last.pt

Each writes its file and a contact sheet, and prints the figures that its card quotes.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ddpm_teach import (
    Classifier,
    Model,
    Sampler,
    class_accuracy,
    load,
    load_checkpoint,
    load_classifier,
    load_model,
    sample,
    save_weights,
    validation_loss,
)
from ddpm_teach.model import save_net
from ddpm_teach.show import save_png

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Plan:
    """How weights are judged: a data set's test split, and samplers, the last one drawn.

    Attributes:
        scale: of the pictures on the contact sheet.
        n: samples of each class.
    """

    dataset: str
    size: int | None
    samplers: tuple[Sampler, ...]
    scale: int
    n: int


USUAL, GUIDED = Sampler(steps=50), Sampler(steps=50, guidance_scale=2.0)
PLANS = {
    "sprites": Plan("sprites", None, (USUAL, GUIDED, Sampler(steps=100, eta=1.0, guidance_scale=1.5)), scale=6, n=100),
    "mnist": Plan("mnist", None, (USUAL, Sampler(steps=250, eta=1.0)), scale=3, n=20),
    "mnist32": Plan("mnist", 32, (USUAL, GUIDED), scale=3, n=20),
}


def make_classifier(name: str, epochs: int = 6, batch_size: int = 128) -> None:
    """Adam with a one-cycle rate on the train split; little noise is added, since samples are never quite flat."""
    torch.manual_seed(0)
    train, test = load(name, "train"), load(name, "test")
    channels, size, _ = train.image_shape
    net = Classifier(channels, size, len(train.classes))
    steps = epochs * (len(train) // batch_size)
    optimizer = torch.optim.AdamW(net.parameters())
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(epochs):
        for index in torch.randperm(len(train)).split(batch_size)[: steps // epochs]:
            x = train.pictures(index)
            loss = cross_entropy(net(x + 0.05 * torch.randn_like(x)), train.labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()
    save_net(HERE / f"{name}-classifier.safetensors", net.eval(), train.classes)
    every = slice(None)
    for split, images in (("train", train), ("test", test)):
        print(split, class_accuracy(load_classifier(name), images.pictures(every), images.labels))


def make(name: str, checkpoint: str) -> None:
    """Keeps the averaged network; measures its loss, what half precision changes, and n samples of each class."""
    state, plan = load_checkpoint(checkpoint), PLANS[name]
    n = plan.n
    save_weights(HERE / f"{name}.safetensors", state.model, steps=state.step)
    model, test = load_model(name), load(plan.dataset, "test", size=plan.size)
    loss = validation_loss(model, test, len(test), precision="float32")
    print(f"step {state.step}, loss on the {len(test)} pictures of the test split ({model.target.name}): {loss:.5f}")
    labels = torch.arange(len(model.classes)).repeat_interleave(n)
    for sampler in plan.samplers:
        x = draw(model, sampler, labels)
        judge(plan, model, sampler, x, labels)
    first = torch.cat([torch.arange(k * n, k * n + 8) for k in range(len(model.classes))])
    save_png(x[first[:64] if is_free(model) else first], HERE / f"{name}.png", columns=8, scale=plan.scale)
    one, other = (draw(either, plan.samplers[-1], labels[first], seed=1) for either in (state.model, model))
    print("mean |difference| by half precision:", (one - other).abs().mean().item() * 127.5, "of 255")


def is_free(model: Model) -> bool:
    """Whether the network draws what it likes."""
    return model.context_dim is None


def draw(model: Model, sampler: Sampler, labels: Tensor, seed: int = 0) -> Tensor:
    """A picture for each label, or as many pictures."""
    contexts = None if is_free(model) else torch.eye(len(model.classes))[labels]
    return sample(model, len(labels), contexts, seed=seed, **asdict(sampler))


def judge(plan: Plan, model: Model, sampler: Sampler, x: Tensor, labels: Tensor) -> None:
    """Prints the share that is taken for its class; of pictures without one, which classes they are taken for."""
    classifier = load_classifier(plan.dataset)
    edge = (x.shape[-1] - classifier.image_shape[-1]) // 2  # of the padding
    x = x[..., edge : x.shape[-2] - edge, edge : x.shape[-1] - edge]
    how = (sampler.steps, sampler.eta, sampler.guidance_scale)
    if is_free(model):
        seen = torch.cat([classifier(part).softmax(1) for part in x.split(1000)])
        sure, counts = (seen.max(1).values > 0.9).float().mean().item(), seen.argmax(1).bincount(minlength=10).tolist()
        print(how, f"classifier above 90 % sure: {sure:.4f}", dict(zip(model.classes, counts, strict=True)))
        return
    shares = [class_accuracy(classifier, x[labels == k], labels[labels == k]) for k in range(len(model.classes))]
    print(how, f"{class_accuracy(classifier, x, labels):.4f}", dict(zip(model.classes, shares, strict=True)))


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    make_classifier(*rest) if what == "classifier" else make(what, *rest)
