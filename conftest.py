"""For all tests: shapes are checked at every call, and lessons are compared by the policy in tests/nbval_policy.py."""

import os

from tests import shape_checks

pytest_plugins = ["tests.nbval_policy"]

if os.environ.get("DDPM_TEACH_SHAPE_CHECKS") != "off":  # off: where a test is about the package's own error messages
    from jaxtyping import install_import_hook

    install_import_hook("ddpm_teach", f"{shape_checks.__name__}.checked")
