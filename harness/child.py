"""Processes of our own: started so that they import what this one imports, whatever stands in the current folder."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

_START = "import sys; sys.path[:] = sys.argv[1].split(__import__('os').pathsep); import {0} as m; m.main()"


def command(module: str) -> list[str]:
    """Runs the `main` of a module."""
    return [sys.executable, "-P", "-c", _START.format(module), os.pathsep.join(sys.path)]


def own_input() -> BinaryIO:
    """In the child: what was its standard input, for itself alone; a program that a model starts finds an empty one."""
    asking = os.fdopen(os.dup(0), "rb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return asking


def own_output() -> BinaryIO:
    """In the child: what was its standard output, for itself alone; what a model prints goes to the other one."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return out
