"""Films of a walk that the hand moves: in JupyterLab, in Colab, and on pages without a kernel."""

from ddpm_teach.widgets.scrubber import Scrubber, scrub

__all__ = ["Scrubber", "scrub"]
