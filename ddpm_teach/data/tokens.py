"""Captions as rows of numbers, one for each word. Lesson 13."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from ddpm_teach.data.lexicon import tokens, vocabulary


@dataclass(frozen=True)
class Tokenizer:
    words: tuple[str, ...]
    length: int = 56

    def encode(self, captions: str | Sequence[str]) -> Int[Tensor, "n length"]:
        numbers = {word: i for i, word in enumerate(self.words, 1)}
        rows = torch.zeros(len(captions), self.length, dtype=torch.long, device="cpu")
        for row, text in zip(rows, captions, strict=True):
            said = [numbers[word] for word in tokens(text)]
            row[: len(said)] = torch.tensor(said, dtype=torch.long, device="cpu")
        return rows


@functools.cache
def caption_tokenizer() -> Tokenizer:
    return Tokenizer(vocabulary())
