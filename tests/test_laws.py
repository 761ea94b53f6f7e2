"""The package obeys every exact law."""

from __future__ import annotations

import pytest

import ddpm_teach
from tests.laws import LAWS


@pytest.mark.parametrize("name", LAWS)
def test_the_law_holds(name):
    LAWS[name](ddpm_teach)
