"""The tokenizer: captions there and back, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from ddpm_teach import Tokenizer, guided, load
from ddpm_teach.data.lexicon import tokens, vocabulary

SMALL = Tokenizer(("a", "blue", "dragon", "knight", "of", "red", "left", ","), length=6)


def test_every_caption_comes_back_word_by_word():
    tokenizer = Tokenizer(length=64)
    captions = load("scenes", n=100).attributes["caption"]
    ids = tokenizer.encode(captions)
    assert ids.shape == (100, 64) and ids.dtype == torch.long
    assert [tokenizer.decode(row) for row in ids] == [tokens(caption) for caption in captions]
    assert ids.max() < tokenizer.size == len(vocabulary()) + 1


def test_words_are_numbered_from_one_and_the_rest_of_the_row_is_zeros():
    assert SMALL.encode("A red KNIGHT, left").tolist() == [[1, 6, 4, 8, 7, 0]]
    assert SMALL.encode(["red", "blue dragon"]).tolist() == [[6, 0, 0, 0, 0, 0], [2, 3, 0, 0, 0, 0]]
    assert SMALL.encode("a " * 6).tolist() == [[1] * 6], "as long as the row is allowed"
    assert SMALL.decode([6, 0, 0]) == ["red"]


@pytest.mark.parametrize("caption", ["", "  "])
def test_no_words_are_what_guidance_and_dropped_contexts_take_for_none(caption):
    ids, seen = SMALL.encode(["red knight", caption]), []
    net = guided(lambda x, t, c: seen.append(c) or x, ids[:1], 2.0)
    net(torch.zeros(1, 1, 8, 8), torch.tensor([1]))
    assert torch.equal(seen[0][0], ids[1]), "the unconditional half"
    dropped = ids * torch.tensor([[False], [True]])
    assert dropped.dtype == torch.long and torch.equal(dropped[0], ids[1]) and SMALL.decode(ids[1]) == []


@pytest.mark.parametrize(
    ("caption", "match"),
    [
        ("a red knigt", "captions: 'knigt' is a word that no caption has; did you mean knight"),
        ("a red zeppelin", "captions: 'zeppelin' .*; tokenizer.words has all of them"),
        ("a knight without red", "captions: a caption can't say 'without'; a negative caption does"),
        ("a red knight left of a blue dragon", "captions: expected at most 6 words and commas, got 8 .*; leave 2 out"),
    ],
)
def test_what_no_row_can_hold_is_refused_by_name(caption, match):
    for captions in (caption, ["a knight", caption]):
        with pytest.raises(ValueError, match=match):
            SMALL.encode(captions)


@pytest.mark.parametrize("row", [[9], [-1], torch.tensor([3, 9])])
def test_what_is_no_row_of_ids_is_refused(row):
    with pytest.raises(ValueError, match=r"row: expected one row of ids in 0…8"):
        SMALL.decode(row)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (dict(words=("red", "Blue")), "words: .*'Blue'"),
        (dict(words=("red hat",)), "words: .*'red hat'"),
        (dict(words=("red", "")), "words: .*''"),
        (dict(words=("red", "hat", "red")), "words: .*'red' twice"),
        (dict(length=0), "length: .*0"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        Tokenizer(**options)


def test_tokenizers_of_the_same_words_are_the_same():
    assert Tokenizer() == Tokenizer(vocabulary()) and Tokenizer() != SMALL
    assert hash(SMALL) == hash(Tokenizer(SMALL.words, 6))
