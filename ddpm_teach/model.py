"""A trained network with all that is needed to draw from it, in memory and on disk. Lesson 00 samples from one."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from ddpm_teach import nets
from ddpm_teach.checks import check_classes, check_finite, check_int, check_positive, check_schedule, shown
from ddpm_teach.data.attributes import Attributes, one_hot
from ddpm_teach.data.images import ImageSet
from ddpm_teach.data.prompts import claim, described
from ddpm_teach.data.sets import load
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.targets import EPS, Target, target_named
from ddpm_teach.diffusion.times import check_student_times
from ddpm_teach.diffusion.types import Denoiser, Frame, Net
from ddpm_teach.hardware.precision import check_device, tuned
from ddpm_teach.nets.autoencoder import Autoencoder

DRAW_STEPS, DRAW_SCALE = 20, 4.0  # moves and guidance scale of what is drawn to words, unless others are asked for


@dataclass(frozen=True, eq=False)
class Model:
    """A network, and what it was trained for: nothing that takes a Model can read it as something else.

    Attributes:
        net: a module with `image_shape` (c, h, w), as every network of this course has; a wrapper of one in `tuned`.
        schedule: the one that it was trained with.
        target: what it predicts: EPS, X0, V or FLOW, or the name of one.
        classes: the names of its classes, in the order of the context vector; none, or as many as it is wide.
        card: how it was trained, as Markdown.
        attributes: the columns and words that it is told, in the order of the context's places; empty for a network
            that is told the class alone.
        data: the name of the data set that it was trained on, for `load`.
        tokenizer: of a network that is told words, which makes its contexts of captions.
        autoencoder: of a network whose pictures are latents, which decodes them.
        limit: what a Sampler clips x̂_0 to, [-limit, limit]; None for latents, which have no
            ends.
        times: of a student, which was distilled for few calls: the list, from T to 0, that all of its walks take, by
            ddim_step and with its teacher's guidance inside. () for all other networks.

    Raises:
        TypeError: for a network without `image_shape`, what is no schedule, classes that aren't names, or times that
            aren't whole numbers.
        ValueError: for a schedule or target that the network wasn't trained for, as far as it knows, a class named
            twice, another number of classes than its contexts are wide, a limit that isn't above 0, or times that don't
            fall from T to 0.
    """

    net: nn.Module | Net
    schedule: Schedule
    target: Target | str = EPS
    classes: tuple[str, ...] = ()
    card: str = ""
    attributes: Attributes = field(default_factory=dict)
    data: str = ""
    tokenizer: Tokenizer | None = None
    autoencoder: Autoencoder | None = None
    limit: float | None = 1.0
    times: Sequence[int] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", target_named(self.target))
        nets.image_shape(self.net)
        object.__setattr__(self, "classes", check_classes(self.classes, None if self.attributes else self.context_dim))
        check_schedule(self.schedule)
        self.schedule.check_net(self.net)
        self.target.check_net(self.net)
        if self.autoencoder is not None and self.autoencoder.latent_shape != self.image_shape:
            raise ValueError(
                f"autoencoder: its latents have shape {self.autoencoder.latent_shape}, but the network draws"
                f" {self.image_shape}; take the one that it was trained with"
            )
        if self.autoencoder is not None:
            object.__setattr__(self, "limit", None)
        if self.limit is not None:
            check_positive("limit", self.limit)
        object.__setattr__(self, "times", check_student_times(self.times, self.schedule.T))

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(c, h, w) of what the network draws: pictures, or their latents."""
        return nets.image_shape(self.net)

    @property
    def picture_shape(self) -> tuple[int, ...]:
        """(c, h, w) of the pictures, as `decoded` gives them."""
        return self.image_shape if self.autoencoder is None else self.autoencoder.image_shape

    @torch.no_grad()
    def decoded(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The pictures, in [-1, 1], of latents; what isn't latent stays as it is. Lesson 12."""
        return x if self.autoencoder is None else self.autoencoder.decode(x).clamp(-1, 1)

    def decoded_frames(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames of a walk through latents as pictures, each decoded when it is read. Lesson 12."""
        for frame in frames:
            x0 = None if frame.x0 is None else self.decoded(frame.x0)
            yield frame if self.autoencoder is None else Frame(frame.t, self.decoded(frame.x), x0)

    @torch.no_grad()
    def encoded(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """What the network draws of pictures in [-1, 1]: their latents, or the pictures themselves. Lesson 12."""
        return x if self.autoencoder is None else self.autoencoder.encode(x)

    def draw(
        self,
        caption: str | Sequence[str] = "",
        n: int = 1,
        seed: int | None = 0,
        *,
        negative: str = "",
        steps: int | None = None,
        guidance_scale: float | None = None,
        **options: object,
    ) -> Float[Tensor, "b _ _ _"]:
        """n pictures for each caption, (b, c, h, w) in [-1, 1]: guided, by DDIM. Lesson 13.

            model.draw("a wizard with a red hat left of a green slime, at night", n=4)

        Args:
            caption: one or several; the empty one draws freely.
            negative: a caption to push away from, instead of from "no words".
            steps, guidance_scale: 20 and 4 unless given; a student has its own.
            options: others of `Sampler`.

        Raises:
            ValueError: for a network that isn't told words, or words that it doesn't know.
        """
        if self.tokenizer is None:
            raise ValueError("draw: this network isn't told words; use sample(model, n, model.context(name))")
        from ddpm_teach.sampler import Sampler

        captions = [caption] if isinstance(caption, str) else list(caption)
        contexts = self.context(*captions, n=n)
        usual = {"steps": DRAW_STEPS, "guidance_scale": DRAW_SCALE} if not self.times else {}
        chosen = {"steps": steps, "guidance_scale": guidance_scale}
        sampler = Sampler(**usual | {name: value for name, value in chosen.items() if value is not None}, **options)
        *_, last = sampler.frames(self, len(contexts), contexts, seed, self.context(negative) if negative else None)
        return self.decoded(last.x)

    @property
    def context_dim(self) -> int | tuple[int, ...] | None:
        """The width of the contexts that the network takes, or their shape, (77, 768); None if it takes none."""
        return nets.context_dim(self.net)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(nets.unwrapped(self.net).parameters(), torch.empty(0, device="cpu")).device

    @property
    def denoiser(self) -> Denoiser:
        """The network read through its schedule."""
        return self.read(self.net)

    def read(self, net: Net) -> Denoiser:
        """A network made of this one, guided for example, read as this one is: by its target, through its schedule."""
        return self.target.reader(net, self.schedule)

    def context(
        self, *names: str, n: int = 1, rng: torch.Generator | None = None, **words: str
    ) -> Shaped[Tensor, "b d"]:
        """Contexts for n pictures of each class or description named: one-hot rows, rows of attributes, or of words.

            model.context("hero", "food")                              # any network with classes
            model.context("hero", n=8)                                 # told attributes: eight different heroes
            model.context("a king with green hair, holding an axe")    # told attributes
            model.context(kind="knight", hair="green", n=8, rng=rng)   # told attributes
            model.context("a knight left of a red slime, at night")    # told words: rows of their numbers

        Of a network that is told attributes, what isn't named is as in a training picture that matches: a class alone
        lends all parts of one, and what is drawn may come near it. No condition is all zeros.

        Args:
            names: classes; or captions, where the network is told attributes or words. Without any, n contexts of any
                class; of words, none.
            n: contexts for each name.
            rng: of what is drawn; torch's global generator unless given.
            words: column → word, of `attributes`, or "none"; `hair="green"` is short for `hair_color="green"`.

        Raises:
            TypeError: for a name that is no text, or an rng that is no torch.Generator.
            ValueError: for an unknown class or word, what no picture of a class can have, words for a network that is
                told the class alone, or a network that takes no context.
        """
        if self.context_dim is None:
            raise ValueError("context: this network takes none; leave it out, and it draws what it likes")
        check_int("n", n, 1)
        if not isinstance(rng, torch.Generator | None):
            raise TypeError(f"rng: expected a generator, got {shown(rng)}; use torch.Generator().manual_seed(0)")
        for name in (*names, *words.values()):
            if not isinstance(name, str):
                raise TypeError(f'context: expected text, got {shown(name)}; write "{name}"')
            if not name.strip() and self.tokenizer is None:
                raise ValueError("context: expected some words, got an empty text; leave it out for any picture")
        if self.tokenizer is not None:
            if words:
                raise ValueError(f'context: this network is told words, got {shown(words)}; say it: "a red knight"')
            return self.tokenizer.encode(names or [""]).repeat_interleave(n, 0)
        if self.attributes:
            claims = [claim(column, word) for column, word in words.items()]
            images = _training_pictures(self.data)
            parts = [described(images, self.attributes, name, claims, n, rng) for name in names or [""]]
            return torch.cat(parts)
        if words:
            raise ValueError(
                f"context: this network is told the class alone ({', '.join(self.classes)}), and no {', '.join(words)}"
            )
        return one_hot(self.classes, names, n, rng)

    def all_contexts(self, each: int = 1, rng: torch.Generator | None = None) -> Tensor | None:
        """`each` contexts for every class, class by class; None if there are no classes, or none can be named."""
        if self.context_dim is None or not self.classes or self.tokenizer is not None:
            return None
        return self.context(*self.classes, n=each, rng=rng)

    def check_contexts(self, contexts: Tensor, n: int) -> None:
        """Refuses contexts that the network doesn't take.

        Raises:
            TypeError: for what is no tensor.
            ValueError: for another width, another number than 1 or n, NaN, or a network that takes none.
        """
        if self.context_dim is None:
            raise ValueError("contexts: this network takes none; leave them out, and it draws what it likes")
        if not isinstance(contexts, Tensor):
            remedy = f"model.context({contexts!r})" if isinstance(contexts, str) else "torch.as_tensor(contexts)"
            raise TypeError(f"contexts: expected a tensor, got {shown(contexts)}; use {remedy}, or model.context(name)")
        shape = (self.context_dim,) if isinstance(self.context_dim, int) else tuple(self.context_dim)
        if tuple(contexts.shape[1:]) != shape or len(contexts) not in (1, n):
            raise ValueError(
                f"contexts: expected shape {(n, *shape)} or {(1, *shape)} for {n} pictures,"
                f" got {tuple(contexts.shape)}; model.context(name) makes one"
            )
        check_finite("contexts", contexts)

    def noise(self, n: int, rng: torch.Generator) -> Tensor:
        """x_T (n, c, h, w): drawn in float32 on rng's device, then in the network's dtype and on its device."""
        weights = nets.unwrapped(self.net).parameters()
        like = next((weight for weight in weights if weight.is_floating_point()), torch.empty(0, device="cpu"))
        return torch.randn(n, *self.image_shape, generator=rng, device=rng.device).to(like)

    def tuned(self, precision: str = "auto") -> Model:
        """The same model, its network computed as the device is fastest (see `hardware.precision.tuned`).

        What changes the network afterwards doesn't change the result, unless `precision` is "float32". A tuned model
        gives itself.
        """
        if hasattr(self.net, "wraps"):
            return self
        return replace(self, net=tuned(self.net, self.device, precision))

    def to(self, device: torch.device | str) -> Model:
        """The same model on another device; the network itself is moved, as torch does it. Of a tuned one the network
        that was tuned. A ValueError for a device that isn't here."""
        device = check_device(device)
        net = self.net if isinstance(self.net, nn.Module) else nets.unwrapped(self.net)
        autoencoder = None if self.autoencoder is None else self.autoencoder.to(device)
        return replace(self, net=net.to(device), autoencoder=autoencoder)


@functools.cache
def _training_pictures(data: str) -> ImageSet:
    """Whose records lend what isn't named."""
    return load(data)
