"""Measures one BLAS in this process, and prints the rate: `speeds` starts one of these each."""

import sys

from harness.numerics.speed import measure

print(measure(sys.argv[1]))
