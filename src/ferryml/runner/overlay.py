"""A virtual environment of the attempt's own on top of the shared one, so that `pip install` harms nobody else."""

from __future__ import annotations

import glob
import os


def make_overlay(folder: str, base: str) -> bool:
    """Makes `folder` see everything of the environment `base` and hold what is installed later.

    Console scripts of `base` go on using `base`; `python` and `pip` use the overlay. Returns False when `base` is no
    virtual environment.
    """
    sites = glob.glob(os.path.join(base, "lib", "python*", "site-packages"))
    config = os.path.join(base, "pyvenv.cfg")
    if not sites or not os.path.exists(config):
        return False
    version = os.path.basename(os.path.dirname(sites[0]))
    mine = os.path.join(folder, "lib", version, "site-packages")
    programs = os.path.join(folder, "bin")
    os.makedirs(mine, exist_ok=True)
    os.makedirs(programs, exist_ok=True)
    with open(config, encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("prompt")]
    _write(os.path.join(folder, "pyvenv.cfg"), "".join(lines))
    for name in ("python", "python3", version):
        _link(os.path.join(base, "bin", "python"), os.path.join(programs, name))
    wheel = _bundled_pip(lines, version)
    _write(os.path.join(mine, "_base.pth"), f"import site; site.addsitedir({sites[0]!r})\n{wheel}\n")
    for name in ("pip", "pip3"):
        path = os.path.join(programs, name)
        _write(path, f'#!/bin/sh\nexec "{programs}/python" -m pip "$@"\n')
        os.chmod(path, 0o700)
    return True


def _bundled_pip(config: list[str], version: str) -> str:
    """The pip that comes with every Python, which runs from its wheel; empty where it was taken out."""
    home = next((line.partition("=")[2].strip() for line in config if line.partition("=")[0].strip() == "home"), "")
    pattern = os.path.join(os.path.dirname(home), "lib", version, "ensurepip", "_bundled", "pip-*.whl")
    return next(iter(sorted(glob.glob(pattern), reverse=True)), "")


def _link(target: str, path: str) -> None:
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
