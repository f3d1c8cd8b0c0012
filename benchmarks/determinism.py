"""What a matrix of determinism costs beside one plain run over the same cases, at an axis after the other.

    python benchmarks/determinism.py [--runs 3]

LeNet-5 on 200 digits, built beforehand, on two workers. The floor is a golden check of the same cases; `all six` is the
matrix of repeat, process, batch, order, threads and reload.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

from racing import PYTEST, Contender, race

GOLDEN = Path(__file__).parents[1] / "golden"
AXES = ("repeat", "process", "batch", "order", "threads", "reload")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "specs").mkdir()
        with (GOLDEN / "lenet5/digits.jsonl").open() as lines:
            (folder / "specs/digits.jsonl").write_text("".join(itertools.islice(lines, 200)))
        common = "model: m, cases: digits.jsonl"
        checks = {
            "golden": f"{{name: all, kind: golden, {common}, compare: {{label: exact}}, gate: {{pass_rate: 0.9}}}}"
        }
        for axes in [(axis,) for axis in AXES] + [AXES]:
            told = f"runs: 5, vary: [{', '.join(axes)}]"
            checks["all six" if axes == AXES else axes[0]] = f"{{name: all, kind: determinism, {common}, {told}}}"
        for word, check in checks.items():
            spec = f"hallmark: 1\nmodels: {{m: {{zoo: lenet5, seed: 0}}}}\nchecks: [{check}]\n"
            (folder / f"specs/{word.replace(' ', '-')}.yaml").write_text(spec)
        contenders = [Contender(word, [*PYTEST, "-n2", f"specs/{word.replace(' ', '-')}.yaml"]) for word in checks]
        race("LeNet-5, 200 digits, 5 runs", contenders, folder, given.runs)


if __name__ == "__main__":
    main()
