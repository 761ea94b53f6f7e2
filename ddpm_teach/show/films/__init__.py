"""Films of a walk that the hand moves: in JupyterLab, in Colab, and on pages without a kernel."""

from typing import Any

from ddpm_teach.widgets.film import Scrubber
from ddpm_teach.widgets.scrubber import browse, compare, forward, scrub

__all__ = ["Scrubber", "browse", "compare", "forward", "playground", "scrub"]


def __getattr__(name: str) -> Any:
    """The playground's libraries, ipywidgets and anywidget, are imported when it is first asked for."""
    if name == "playground":
        from ddpm_teach.widgets.live import playground

        return playground
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
