"""What a lesson copy of the course's first edition meets: one sentence, and no traceback.

The first edition had its modules elsewhere (`ddpm_teach.widgets`, `ddpm_teach.pictures`, …). A learner's own copy of a
lesson still imports from there, and the copy stays as it is; so the import says which edition it is, and the way out.
"""

from __future__ import annotations

import sys

SENTENCE = (
    "this lesson is of the course's first edition, whose package was arranged otherwise; "
    "run `ddpm-teach` in a terminal for the new lessons — yours stays as it is"
)

_GONE = {  # where: the names that the first edition had there, and nothing has now
    "ddpm_teach": (
        "Pretrained bound build denoise devices exercises files forward graphs guidance kinds metrics noise paths"
        " pictures plots presets processes runs samplers sampling schedule times weights widgets"
    ),
    "ddpm_teach.data": "ImageSet NAMES TORCHVISION folder_classes from_folder load",
    "ddpm_teach.evaluation": "Evaluation Judge PARTS judge_of",
    "ddpm_teach.nets": "build",
    "ddpm_teach.training": (
        "MovingAverage NUMBERS TrainLog TrainState load_checkpoint save_checkpoint snr_weight step_generator"
        " stratified_times train uniform_times validation_loss"
    ),
}
GONE = frozenset(f"{module}.{name}" for module, names in _GONE.items() for name in names.split())


class FirstEdition(ImportError):
    """The import of a name that only the first edition had. IPython shows the sentence alone."""

    def __init__(self, name: str) -> None:
        super().__init__(SENTENCE, name=name)

    def _render_traceback_(self) -> list[str]:  # IPython's own hook
        return [SENTENCE]


def missing(module: str, name: str) -> Exception:
    """What a module's `__getattr__` raises: FirstEdition for a name of the first edition, else AttributeError."""
    if f"{module}.{name}" in GONE:
        return FirstEdition(f"{module}.{name}")
    return AttributeError(f"module {module!r} has no attribute {name!r}")


class _Finder:
    """The last to be asked for a module: it finds none, and refuses those of the first edition.

    Python also asks it for `name` in `from package import name`, where the package has no such attribute.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        parts = name.split(".")
        if parts[0] == "ddpm_teach" and not GONE.isdisjoint(".".join(parts[:n]) for n in range(2, len(parts) + 1)):
            raise FirstEdition(name)


def install() -> None:
    """Puts the finder at the end of sys.meta_path, once."""
    if _Finder not in sys.meta_path:
        sys.meta_path.append(_Finder)
