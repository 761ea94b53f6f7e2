"""A text field that completes words while one types, for the playground of a network that is told words. Lesson 13."""

from __future__ import annotations

from importlib import resources

import anywidget
import traitlets

SCRIPT, STYLE = (resources.files(__package__).joinpath(f"prompt.{kind}").read_text("utf-8") for kind in ("js", "css"))


class PromptField(anywidget.AnyWidget):
    """A text field whose menu has the known words that begin as the one under the cursor does.

    Up and down move through the menu, Tab takes its first word, or the one moved to, as Enter does; Esc closes it. The
    value comes to Python with Enter, or when the field is left.

    Attributes:
        value: the text.
        words: that are offered.
        description: what stands before the field.
    """

    _esm = SCRIPT
    _css = STYLE
    value = traitlets.Unicode().tag(sync=True)
    words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)

    def __repr__(self) -> str:
        return f"PromptField({self.value!r})"
