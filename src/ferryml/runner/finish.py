"""Gives everything of an environment one date and compiles it. Runs under the environment's own Python, alone.

Compiled files name the date of their source, and an archive keeps none but this one (see archive.MADE).
"""

from __future__ import annotations

import compileall
import os
import sys

MADE = 946684800


def main(folder: str) -> int:
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            if name.endswith(".py") and not os.path.islink(path):
                os.utime(path, (MADE, MADE))
    compileall.compile_dir(os.path.join(folder, "lib"), maxlevels=50, quiet=2, workers=0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
