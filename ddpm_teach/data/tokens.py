"""From captions to the numbers that a network takes: a word is an id, and a caption a row of them. Lesson 13."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from ddpm_teach.checks import check_int, shown
from ddpm_teach.data.lexicon import check_words, tokens, vocabulary


@dataclass(frozen=True)
class Tokenizer:
    """Encodes captions as rows of word ids; the word `words[i]` has the id i + 1.

    The id 0 is padding, which fills a row up: the empty caption is a row of zeros. So the zeros that guidance takes for
    "no context", and what dropping a context in training leaves of it, are this caption, "no words".

    Attributes:
        words: all that it knows; those of all captions of sprites and scenes, unless given.
        length: of the rows.

    Raises:
        TypeError: for words that aren't a tuple of texts.
        ValueError: for what isn't one word in lower case, a word that comes twice, or a length < 1.
    """

    words: tuple[str, ...] = field(default_factory=vocabulary)
    length: int = 56

    def __post_init__(self) -> None:
        if not isinstance(self.words, tuple) or not self.words or not all(isinstance(word, str) for word in self.words):
            raise TypeError(f"words: expected a tuple of words, got {shown(self.words)}; use vocabulary()")
        for word in self.words:
            if tokens(word) != [word]:
                raise ValueError(f"words: expected single words in lower case, got {word!r}; use tokens({word!r})")
        if len(self._ids) < len(self.words):
            twice = next(word for i, word in enumerate(self.words) if word in self.words[:i])
            raise ValueError(f"words: expected every word once, got {twice!r} twice; leave one out")
        check_int("length", self.length, 1)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: i + 1 for i, word in enumerate(self.words)}

    @property
    def size(self) -> int:
        """How many ids there are, padding among them: the `words` of a network."""
        return len(self.words) + 1

    def encode(self, captions: str | Iterable[str]) -> Int[Tensor, "n length"]:
        """The ids of the captions' words, a row for each caption, filled up with zeros.

        Raises:
            TypeError: for what isn't text.
            ValueError: for a word that isn't known, or a caption of more than `length` words.
        """
        if not isinstance(captions, Iterable):
            raise TypeError(f'captions: expected text, or a list of texts, got {shown(captions)}; write "a red apple"')
        captions = [captions] if isinstance(captions, str) else list(captions)
        ids = torch.zeros(len(captions), self.length, dtype=torch.long, device="cpu")
        for row, caption in zip(ids, captions, strict=True):
            if not isinstance(caption, str):
                raise TypeError(f'captions: expected texts, got {shown(caption)}; write "{caption}"')
            said = tokens(caption)
            check_words(said, self._ids, "captions", "tokenizer.words has all of them")
            if len(said) > self.length:
                raise ValueError(
                    f"captions: expected at most {self.length} words and commas, got {len(said)}"
                    f" in {' '.join(said[:5])!r} …; leave {len(said) - self.length} out"
                )
            row[: len(said)] = torch.tensor([self._ids[word] for word in said], dtype=torch.long, device="cpu")
        return ids

    def decode(self, row: Int[Tensor, " m"] | Sequence[int]) -> list[str]:
        """The words of a row of ids, without its padding.

        Raises:
            ValueError: for ids that no word has, or more than one row.
        """
        ids = row.tolist() if isinstance(row, Tensor) else list(row)
        if not all(isinstance(i, int) and 0 <= i <= len(self.words) for i in ids):
            raise ValueError(
                f"row: expected one row of ids in 0…{len(self.words)}, got {shown(row)}; for several rows,"
                " [tokenizer.decode(row) for row in rows]"
            )
        return [self.words[i - 1] for i in ids if i]
