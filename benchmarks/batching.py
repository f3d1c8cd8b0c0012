"""What answering in batches saves, and a fast BLAS with it: the whole of pytest, one case at a time against batches.

    python benchmarks/batching.py [--runs 3]

LeNet-5 on 1,000 and 5,000 digits, the zoo's llama on 200 and 1,000 prompts, each built beforehand. Starting Python,
pytest and MLX is part of every time: the longer runs tell more of the models.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from pathlib import Path

from racing import PYTEST, Contender, race

GOLDEN = Path(__file__).parents[1] / "golden"
MODELS = {
    "lenet": ("{zoo: lenet5, seed: 0", "lenet5/digits.jsonl", (1000, 5000), "{label: exact}", 250),
    "llama": ("{zoo: llama, seed: 0", "llama/sums.jsonl", (200, 1000), "{text: exact}", 50),
}


def prepare(folder: Path, name: str, n: int) -> None:
    """The same cases of the same model, alone and in batches; an id is used once, whatever it asks."""
    model, cases, _, compare, batch = MODELS[name]
    lines = itertools.islice(itertools.cycle((GOLDEN / cases).read_text().splitlines()), n)
    asked = [{**json.loads(line), "id": f"c{i}"} for i, line in enumerate(lines)]
    (folder / "golden").mkdir(exist_ok=True)
    (folder / "specs").mkdir(exist_ok=True)
    (folder / f"golden/{name}.jsonl").write_text("".join(json.dumps(case) + "\n" for case in asked))
    for word, size in (("alone", 1), ("batch", batch)):
        spec = f"hallmark: 1\nmodels: {{m: {model}, batch: {size}}}}}\n"
        gate = "gate: {pass_rate: 0.9}"
        check = f"{{name: all, kind: golden, model: m, cases: ../golden/{name}.jsonl, compare: {compare}, {gate}}}"
        (folder / f"specs/{name}-{word}.yaml").write_text(f"{spec}checks: [{check}]\n")


def contenders(name: str) -> list[Contender]:
    def run(word: str, numerics: str) -> list[str]:
        return [*PYTEST, "-n0", "--numerics", numerics, f"specs/{name}-{word}.yaml"]

    return [
        Contender("one at a time, strict", run("alone", "strict")),
        Contender("in batches, strict", run("batch", "strict")),
        Contender("one at a time, fast", run("alone", "fast")),
        Contender("in batches, fast", run("batch", "fast")),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        for model, (_, _, sizes, _, _) in MODELS.items():
            for n in sizes:
                prepare(folder, model, n)
                race(f"{model}, {n:,} cases", contenders(model), folder, given.runs)


if __name__ == "__main__":
    main()
