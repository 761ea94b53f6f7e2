"""Makes the weight files of this folder.

    python make_weights.py classifier                           # trains the judge of sprites, about a minute
    python make_weights.py sprites ../../runs/sprites/last.pt   # from the run of `ddpm-teach train sprites`

Each writes its file and prints the figures that its card quotes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from ddpm_teach import load, load_pretrained, pictures, sample
from ddpm_teach.metrics import class_accuracy, load_classifier
from ddpm_teach.nets import Classifier
from ddpm_teach.training import load_checkpoint
from ddpm_teach.weights import save_weights

HERE = Path(__file__).parent


def make_classifier(epochs: int = 6, batch_size: int = 128) -> None:
    """Adam with a one-cycle rate on the train split; little noise is added, since samples are never quite flat."""
    torch.manual_seed(0)
    train, test = load("sprites", "train"), load("sprites", "test")
    net = Classifier()
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
    save_weights(HERE / "sprites-classifier.safetensors", net.eval(), train.classes)
    every = slice(None)
    for split, images in (("train", train), ("test", test)):
        print(split, class_accuracy(load_classifier("sprites"), images.pictures(every), images.labels))


def make_sprites(checkpoint: str, n: int = 100) -> None:
    """Keeps the averaged network; judges n samples of each class by three recipes, and what half precision changes."""
    state = load_checkpoint(checkpoint)
    net = state.ema.module
    save_weights(HERE / "sprites.safetensors", net, state.classes, state.schedule, steps=state.step)
    kept, judge = load_pretrained("sprites"), load_classifier("sprites")
    labels = torch.arange(len(kept.classes)).repeat_interleave(n)
    context, shape = torch.eye(len(kept.classes))[labels], (len(labels), *net.image_shape)
    for steps, eta, scale in ((50, 0.0, 1.0), (50, 0.0, 2.0), (100, 1.0, 1.5)):
        options = dict(steps=steps, eta=eta, guidance_scale=scale, seed=0)
        x = sample(kept.net, kept.schedule, shape, context=context, **options)
        by_class = [class_accuracy(judge, x[labels == k], labels[labels == k]) for k in range(len(kept.classes))]
        print(options, f"{class_accuracy(judge, x, labels):.4f}", dict(zip(kept.classes, by_class, strict=True)))
    first = torch.cat([torch.arange(k * n, k * n + 8) for k in range(len(kept.classes))])
    pictures.save_png(x[first], HERE / "sprites.png", columns=8, scale=6)  # the last recipe's
    options |= dict(context=context[first], seed=1)
    full, half = (sample(a, state.schedule, (40, *net.image_shape), **options) for a in (net, kept.net))
    print("mean |difference| by half precision:", (full - half).abs().mean().item() * 127.5, "of 255")


if __name__ == "__main__":
    {"classifier": make_classifier, "sprites": make_sprites}[sys.argv[1]](*sys.argv[2:])
