"""A pytest plugin: how lessons are compared, strictly, but a decimal may differ by one unit in its last printed digit.

Last digits of float32 sums depend on the processor's vector width. Pictures are outside this comparison, since their
bytes depend on it too; so is html, which carries them; what a picture's text says is compared. For one's own:

    pytest -p ddpm_teach.course.nbval_policy --nbval my-lessons
"""

from __future__ import annotations

import re
from decimal import Decimal

DECIMAL = re.compile(r"(?<![\w.])[-+]?\d+\.\d*(?:[eE][-+]?\d+)?(?![\w.])|(?<![\w.])[-+]?\d+[eE][-+]?\d+(?![\w.])")


def close(reference: str, new: str) -> bool:
    """Whether two printed decimals differ by at most one unit in the last digit of the coarser one."""
    a, b = Decimal(reference), Decimal(new)
    return abs(a - b) <= Decimal(1).scaleb(max(a.as_tuple().exponent, b.as_tuple().exponent))


def aligned(reference: str, new: str) -> str:
    """`new`, with the reference's decimals wherever they are close to its own."""
    expected, found = DECIMAL.findall(reference), DECIMAL.findall(new)
    if len(expected) != len(found):
        return new
    pairs = iter(zip(expected, found, strict=True))
    return DECIMAL.sub(lambda _: (lambda a, b: a if close(a, b) else b)(*next(pairs)), new)


def _texts(outputs):
    """Every text among a cell's outputs: its kind, the dictionary that holds it, and its key there."""
    for output in outputs:
        if output.output_type == "stream":
            yield output.name, output, "text"
        elif "text/plain" in output.get("data", {}):
            yield "text/plain", output.data, "text/plain"


def pytest_collectstart(collector):
    if type(collector).__name__ == "IPyNbFile":
        collector.skip_compare += ("text/html", "image/svg+xml", "stderr")


def pytest_configure(config):
    if not config.pluginmanager.hasplugin("nbval"):
        return
    from nbval.plugin import IPyNbCell

    strict = IPyNbCell.compare_outputs
    if getattr(strict, "allows_last_digit", False):
        return

    def compare_outputs(self, test, ref, skip_compare=None):
        references = {}
        for kind, holder, key in _texts(ref):
            references.setdefault(kind, []).append(holder[key])
        for kind, holder, key in _texts(test):
            if references.get(kind):
                holder[key] = aligned(references[kind].pop(0), holder[key])
        return strict(self, test, ref, skip_compare)

    compare_outputs.allows_last_digit = True
    IPyNbCell.compare_outputs = compare_outputs
