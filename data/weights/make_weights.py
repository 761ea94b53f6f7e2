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
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ddpm_teach import load, load_pretrained, pictures, sample
from ddpm_teach.metrics import class_accuracy, load_classifier
from ddpm_teach.nets import Classifier
from ddpm_teach.training import load_checkpoint, validation_loss
from ddpm_teach.weights import Pretrained, save_weights

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Kept:
    """How weights are judged: a data set's test split, and recipes (steps, η, guidance scale), the last one drawn."""

    dataset: str
    size: int | None
    recipes: tuple[tuple[int, float, float], ...]
    scale: int
    n: int


KEPT = {
    "sprites": Kept("sprites", None, ((50, 0.0, 1.0), (50, 0.0, 2.0), (100, 1.0, 1.5)), scale=6, n=100),
    "mnist": Kept("mnist", None, ((50, 0.0, 1.0), (250, 1.0, 1.0)), scale=3, n=20),
    "mnist32": Kept("mnist", 32, ((50, 0.0, 1.0), (50, 0.0, 2.0)), scale=3, n=20),
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
    save_weights(HERE / f"{name}-classifier.safetensors", net.eval(), train.classes)
    every = slice(None)
    for split, images in (("train", train), ("test", test)):
        print(split, class_accuracy(load_classifier(name), images.pictures(every), images.labels))


def make(name: str, checkpoint: str) -> None:
    """Keeps the averaged network; measures its loss, what half precision changes, and n samples of each class."""
    state, kept = load_checkpoint(checkpoint), KEPT[name]
    n = kept.n
    save_weights(HERE / f"{name}.safetensors", state.ema.module, state.classes, state.schedule, steps=state.step)
    model, test = load_pretrained(name), load(kept.dataset, "test", size=kept.size)
    loss = validation_loss(model.net, model.schedule, test, n=len(test), precision="float32")
    print(f"step {state.step}, ε-loss on the {len(test)} pictures of the test split: {loss:.5f}")
    labels = torch.arange(len(model.classes)).repeat_interleave(n)
    for recipe in kept.recipes:
        x = draw(model, recipe, labels)
        judge(kept, model, recipe, x, labels)
    first = torch.cat([torch.arange(k * n, k * n + 8) for k in range(len(model.classes))])
    pictures.save_png(x[first[:64] if loose(model) else first], HERE / f"{name}.png", columns=8, scale=kept.scale)
    full = Pretrained(state.ema.module.eval(), state.schedule, state.classes, "")
    one, other = (draw(either, kept.recipes[-1], labels[first], seed=1) for either in (full, model))
    print("mean |difference| by half precision:", (one - other).abs().mean().item() * 127.5, "of 255")


def loose(model: Pretrained) -> bool:
    """Whether the network draws what it likes."""
    return model.net.config.get("context_dim") is None


def draw(model: Pretrained, recipe: tuple[int, float, float], labels: Tensor, seed: int = 0) -> Tensor:
    """A picture for each label, or as many pictures, by (steps, η, guidance scale)."""
    (steps, eta, scale), shape = recipe, (len(labels), *model.net.image_shape)
    context = {} if loose(model) else dict(context=torch.eye(len(model.classes))[labels], guidance_scale=scale)
    return sample(model.net, model.schedule, shape, steps=steps, eta=eta, seed=seed, **context)


def judge(kept: Kept, model: Pretrained, recipe: tuple[int, float, float], x: Tensor, labels: Tensor) -> None:
    """Prints the share that is taken for its class; of pictures without one, which classes they are taken for."""
    classifier = load_classifier(kept.dataset)
    edge = (x.shape[-1] - classifier.image_shape[-1]) // 2  # of the padding
    x = x[..., edge : x.shape[-2] - edge, edge : x.shape[-1] - edge]
    if loose(model):
        seen = torch.cat([classifier(part).softmax(1) for part in x.split(1000)])
        sure, counts = (seen.max(1).values > 0.9).float().mean().item(), seen.argmax(1).bincount(minlength=10).tolist()
        print(recipe, f"classifier above 90 % sure: {sure:.4f}", dict(zip(model.classes, counts, strict=True)))
        return
    shares = [class_accuracy(classifier, x[labels == k], labels[labels == k]) for k in range(len(model.classes))]
    print(recipe, f"{class_accuracy(classifier, x, labels):.4f}", dict(zip(model.classes, shares, strict=True)))


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    make_classifier(*rest) if what == "classifier" else make(what, *rest)
