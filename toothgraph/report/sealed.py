"""Pages that run only their own script, since the names of files and of results in them may come from anyone."""

from __future__ import annotations

import base64
import hashlib
import re

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def sealed(page: str) -> str:
    """A page with the hash of its script in its Content-Security-Policy, in place of ``__HASH__``.

    A browser then runs this script only, whatever else may get into the page. Policy: https://www.w3.org/TR/CSP3/

    Args:
        page: HTML with one ``<script>`` without attributes.
    """
    (script,) = _SCRIPT.findall(page)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return page.replace("__HASH__", f"sha256-{digest}")
