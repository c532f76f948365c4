"""Ferry's own images for tests: built on kubebox's stand-in of the public base image, once for each content."""

from pathlib import Path

import images

from kubebox.images import make_base


def build(name: str, tag: str = "latest") -> Path:
    """The tar of one of `scripts/images.py`; some 10 s after a change of the code, none without."""
    return images.build(name, tag, make_base())
