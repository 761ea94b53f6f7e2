"""Makes the weight files of this folder.

    python make_weights.py classifier sprites 40                # trains a judge of samples, for so many epochs
    python make_weights.py classifier mnist 6 cuda              # on a GPU
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
from ddpm_teach.data.sprites import sprites
from ddpm_teach.evaluation.judges import not_data, numbered, sure, train_judge
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


def make_classifier(name: str, epochs: str, device: str = "cpu") -> None:
    """Trains a judge, and prints how right it is on test pictures, and how sure of what isn't data."""
    torch.manual_seed(0)
    train, test = load(name, "train"), load(name, "test")
    colors = sprites("train").palette if name == "sprites" else []
    if train.attributes:
        train = train.conditioned()
        test = test.conditioned(train.told)
    channels, size, _ = train.image_shape
    columns = tuple(1 + len(words) for words in train.told.values())
    net = Classifier(channels, size, len(train.classes), 32, columns, hidden=64, palette=len(colors))
    if len(colors):
        net.set_palette(torch.from_numpy(colors).float() / 127.5 - 1)
    net.to(device)
    for epoch, loss in enumerate(train_judge(net, train.to(device), int(epochs)), 1):
        print(f"epoch {epoch}: loss {loss:.3f}", flush=True)
    net.cpu()
    save_net(HERE / f"{name}-classifier.safetensors", net, train.classes, train.told)
    judge, x = load_classifier(name), test.pictures(slice(None))
    print(f"class {class_accuracy(judge, x, test.labels):.4f}, sure of test pictures {sure(judge, x):.4f}")
    if train.told:
        right = torch.stack(judge.words(x), 1) == numbered(test.contexts(slice(None)), test.told)
        print(dict(zip(train.told, [round(share, 4) for share in right.float().mean(0).tolist()], strict=True)))
    for what, pictures in not_data(x, test.labels, torch.Generator().manual_seed(1)).items():
        print(f"sure of {what}: {sure(judge, pictures):.4f}")


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
