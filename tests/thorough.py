"""Whether tests are to try all that they could, also what hardly shows more: ``HOLDFAST_THOROUGH=1``."""

from __future__ import annotations

import os

THOROUGH = os.environ.get("HOLDFAST_THOROUGH", "0") not in ("", "0")
