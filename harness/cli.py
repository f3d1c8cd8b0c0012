"""The `hallmark` command. Each verb is a function; nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import __version__

if TYPE_CHECKING:
    import pytest

    from harness.contract import Check, Declared, Plan
    from harness.shelf import Shelf

USAGE = 4
NOTHING = 5


def main(argv: Sequence[str] | None = None) -> int:
    from harness.rooms import NoSuchRoom
    from harness.spec.faults import SpecFaults, visible

    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words[:1] == ["run"] and not {"-h", "--help"} & set(words):
            return _run(words[1:])
        given = _parser().parse_args(words)
        return int(given.act(given))
    except SpecFaults as faults:
        print(faults, file=sys.stderr)
        print(faults.args[0], file=sys.stderr)
        return USAGE
    except NoSuchRoom as error:
        print(f"hallmark: {error}", file=sys.stderr)
        return USAGE
    except Mistake as mistake:
        print(f"hallmark: {visible(str(mistake))}", file=sys.stderr)
        return mistake.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 2


class Mistake(Exception):
    """The user's, told in one line."""

    def __init__(self, said: str, status: int = USAGE) -> None:
        super().__init__(said)
        self.status = status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hallmark",
        description="Certifies MLX-backed models: YAML in, pytest in parallel, a certificate out.",
        epilog="Exit status of run: 0 certified, 1 blocked, 2 interrupted or incomplete, 3 internal error, "
        "4 a spec or usage fault, 5 nothing selected, 6 inconclusive.",
    )
    parser.add_argument("--version", action="version", version=f"hallmark {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)

    def verb(name: str, act: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=about, description=about)
        made.set_defaults(act=act)
        return made

    def paths(made: argparse.ArgumentParser) -> None:
        made.add_argument(
            "paths",
            nargs="*",
            default=["specs"],
            metavar="PATH",
            help="spec files, or folders of them (default: specs)",
        )
        made.add_argument("--numerics", choices=["strict", "fast"], help=argparse.SUPPRESS)
        made.add_argument(
            "--allow-python", action="store_true", help="let code run that a spec or a model's folder names"
        )

    run = verb("run", lambda given: _run([]), "Measure, judge and certify: pytest over the specs, on all cores.")
    run.usage = "hallmark run [PATH ...] [-n N] [any option of pytest]"
    run.add_argument("paths", nargs="*", metavar="PATH", help="spec files, folders, or ids of checks and cases")
    run.add_argument("-n", metavar="N", help="workers: a number, auto (default), or 0 for none")
    paths(verb("validate", _validate, "Read the specs strictly and say everything that is wrong with them."))
    plan = verb("plan", _show_plan, "Show what would run: checks, cases, models, and how long it took last time.")
    plan.add_argument("--oc", action="store_true", help="what each gate can show: its operating characteristics")
    paths(plan)
    for name, act, about in (
        ("report", _report, "Write a run's reports anew from its record."),
        ("verify", _verify, "Recompute a run's certificate from its record, without the models."),
    ):
        verb(name, act, about).add_argument(
            "run", nargs="?", default="runs/latest", metavar="RUN", help="a run folder (default: runs/latest)"
        )
    golden = verb("golden", _golden, "Commit what a run found as what later runs are held against.")
    golden.add_argument("what", choices=["update"])
    golden.add_argument(
        "run", nargs="?", default="runs/latest", metavar="RUN", help="a run folder (default: runs/latest)"
    )
    init = verb("init", _init, "Start a project: a spec and its cases, ready to run.")
    init.add_argument("folder", metavar="DIR")
    models = verb("models", _models, "List the models that specs declare, build them, or look into them.")
    models.add_argument("what", choices=["list", "build", "inspect"])
    paths(models)
    models.add_argument(
        "--model", metavar="NAME", action="append", default=[], help="this model alone; so does a bare name"
    )
    models.add_argument("--json", action="store_true", help="inspect: as JSON")
    schema = verb("schema", _schema, "Print the JSON Schema of specs, for editors.")
    schema.add_argument("name", nargs="?", choices=["spec", "case", "outcome", "certificate"], default="spec")
    schema.add_argument("--write", action="store_true", help="write all of them to harness/schema in this checkout")
    verb("doctor", _doctor, "Say what is installed here and what this machine can measure.")
    return parser


# ----------------------------------------------------------------------------------------------- run


_VALUED = re.compile(
    r"-[nkmpcoWr]|--(?:numprocesses|dist|maxfail|tb|durations|deselect|ignore|ignore-glob|junitxml|junit-xml|rootdir"
    r"|allow-host|basetemp|color|hallmark-runs|numerics|override-ini|config-file|confcutdir|log-level|max-worker-restart)"
)
"""Options of pytest after which a word is a value; after any other it is a path."""


def _run(words: list[str]) -> int:
    """pytest, given the paths and whatever else the user wrote; all its cores, unless told."""
    import pytest

    from harness.shelf import Shelf
    from harness.spec.memory import read_plan
    from harness.spec.places import find_root, find_specs

    places = [at for at, word in enumerate(words) if _is_path(words, at)]
    paths = [words[at] for at in places] or ["specs"]
    rest = [word for at, word in enumerate(words) if at not in places]
    root = find_root(Path.cwd())
    files = [path.partition("::")[0] for path in paths]
    strange = sorted(set(_specs(files)) - set(find_specs(map(Path, files))))
    trusted = "--allow-python" in words or _allowed(root)
    read_plan(
        strange, Shelf(root, lambda text: None, trusted=trusted)
    )  # what does not start as a spec has its faults told
    if "no:xdist" not in words:
        rest += [] if any(word.startswith(("-n", "--numprocesses")) for word in rest) else ["-n", "auto"]
        rest += [] if any(word.startswith("--dist") for word in rest) else ["--dist", "load"]
        rest += ["-p", "xdist"]
    quiet = ["--no-header", "-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
    seen = _Seen()
    status = int(pytest.main([*paths, *quiet, f"--rootdir={root}", *rest, "-p", "hallmark"], plugins=[seen]))
    if status == 0 and not seen.certified and not seen.only_listed:
        raise Mistake("no spec was run, so nothing is certified", NOTHING)
    return status


def _is_path(words: list[str], at: int) -> bool:
    word, before = words[at], words[at - 1] if at else ""
    return not word.startswith("-") and not _VALUED.fullmatch(before)


class _Seen:
    """Whether a run of pytest came to certify, or was only to list."""

    certified = only_listed = False

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        self.certified |= config.pluginmanager.has_plugin("hallmark-controller")
        self.only_listed |= bool(config.option.collectonly or config.option.version or config.option.help)


def _specs(paths: list[str]) -> list[Path]:
    """The specs at these paths; a mistake where there are none."""
    from harness.spec.places import find_specs

    for path in paths:
        if not Path(path).exists():
            raise Mistake(f"there is no `{path}` here; name a spec file or a folder of specs")
    found = find_specs([Path(path) for path in paths], strict=True)
    if paths and not found:
        raise Mistake(
            f"there is no spec in {', '.join(paths)}: a spec is a .yaml file that starts with `hallmark: 1`", NOTHING
        )
    return found


def _read(given: argparse.Namespace) -> tuple[Plan, Shelf]:
    from harness.shelf import Shelf
    from harness.spec.memory import read_plan
    from harness.spec.places import find_root

    root = find_root(Path.cwd())
    trusted = given.allow_python or _allowed(root)
    shelf = Shelf(root, lambda text: print(text, file=sys.stderr, flush=True), trusted=trusted)
    return read_plan(_specs(given.paths), shelf, given.numerics), shelf


def _allowed(root: Path) -> bool:
    """Whether the project's pytest configuration says `hallmark_allow_python`."""
    from harness.spec.places import ROOT_MARKS

    files = [root / name for name in ROOT_MARKS if (root / name).is_file()]
    if not any(b"hallmark_allow_python" in file.read_bytes() for file in files):
        return False
    from _pytest.config.findpaths import load_config_dict_from_file

    found = next((read for file in files if (read := load_config_dict_from_file(file)) is not None), {})
    value = found.get("hallmark_allow_python", False)
    return str(getattr(value, "value", value)).lower() in ("1", "yes", "true", "on")


def _validate(given: argparse.Namespace) -> int:
    plan, _ = _read(given)
    print(
        f"{_count(len(plan.specs), 'spec')}, {_count(len(plan.checks), 'check')}, "
        f"{_count(plan.cases(), 'case')}: no fault"
    )
    for note in plan.notes:
        print(f"note: {note}")
    return 0


def _show_plan(given: argparse.Namespace) -> int:
    from harness.shelf import is_built

    plan, shelf = _read(given)
    last = _last_times(shelf.root)
    for spec in plan.specs:
        print(f"{spec.path}  {spec.name}{f': {spec.about}' if spec.about else ''}")
        models = {key: m for key, m in plan.models.items() if key.startswith(f"{spec.path}::")}
        for model in models.values():
            print(f"  model  {model.name:<24} {model.made():<16} {_KEPT[is_built(model, shelf)]}")
        for check in plan.checks:
            if check.id.startswith(f"{spec.path}::"):
                took = f", {last[check.id]:.3g} s last time" if check.id in last else ""
                batches = f" in {_count(check.batches(), 'batch', 'batches')}"
                print(f"  check  {check.name:<24} {check.kind:<16} {_count(len(check.cases), 'case')}{batches}{took}")
                for line in _characteristics(check) if given.oc else ():
                    print(f"         {line}")
    print(f"{_count(len(plan.checks), 'check')}, {_count(plan.cases(), 'case')}")
    for note in plan.notes:
        print(f"note: {note}")
    return 0


def _characteristics(check: Check) -> Iterator[str]:
    """What a check can tell, in lines."""
    from harness.certify import characteristics

    found = characteristics(check)
    if found is None:
        yield "no table: it is decided by its cases alone, or by a method that has none"
        return
    yield f"{found.of:<36} passes   fails    inconclusive   ({found.method})"
    for row in found.rows:
        bar = "  <- the bar" if row.value == found.bar else ""
        yield f"  {row.truth:<34} {row.passes:<8.4f} {row.fails:<8.4f} {row.inconclusive:.4f}{bar}"
    if found.detectable is not None:
        yield f"  passes in four of five runs from {found.detectable:.4g} on"
    if found.needed_n is not None:
        yield f"  {found.needed_n:,} cases pass half-way from the bar in four of five runs"


_KEPT = {True: "built", False: "to be built", None: "nothing to build"}


def _last_times(root: Path) -> dict[str, float]:
    """How long each check took in the newest run, where there is one."""
    import msgspec

    from harness.contract import Certificate

    try:
        certificate = msgspec.json.decode(
            (root / "runs" / "latest" / "certificate.json").read_bytes(), type=Certificate
        )
    except (OSError, msgspec.MsgspecError):
        return {}
    return {result.id: result.seconds for result in certificate.checks}


def _count(n: int, word: str, words: str | None = None) -> str:
    return f"{n:,} {word if n == 1 else words or word + 's'}"


# ---------------------------------------------------------------------------------------------- runs


def _report(given: argparse.Namespace) -> int:
    from harness.pages import NotARun, read_run, tell
    from harness.spec.faults import visible
    from harness.verify import doubts

    folder = _run_folder(given.run)
    try:
        run = read_run(folder)
        for doubt in doubts(run):
            print(f"doubtful: {visible(doubt)}; `hallmark verify` refuses such a run", file=sys.stderr)
        for path in tell(run, folder):
            print(path)
    except NotARun as error:
        raise Mistake(str(error)) from None
    except OSError as error:
        raise Mistake(f"{error.filename or folder} can't be written: {error.strerror}") from None
    except Exception as error:
        raise Mistake(f"the run in {folder} can't be told: {type(error).__name__}: {error}", 1) from None
    return 0


def _run_folder(name: str) -> Path:
    from harness.spec.places import find_root

    folder = Path(name)
    if not folder.is_dir():
        folder = find_root(Path.cwd()) / name  # as a run leaves it, wherever in the project one stands
    if not folder.is_dir():
        raise Mistake(f"there is no run in {name}; `hallmark run specs` leaves one", 1)
    return folder


def _verify(given: argparse.Namespace) -> int:
    from harness.contract import EXIT
    from harness.pages import read_run
    from harness.spec.faults import visible
    from harness.verify import problems

    folder = _run_folder(given.run)
    found = problems(folder)
    for problem in found:
        print(f"refused: {visible(problem)}", file=sys.stderr)
    if found:
        return 1
    certificate = read_run(folder).certificate
    print(f"verified: {certificate.status}: {certificate.reason}")
    return EXIT[certificate.status]


def _golden(given: argparse.Namespace) -> int:
    from harness import rooms
    from harness.pages import read_run
    from harness.spec.faults import visible
    from harness.spec.places import find_root
    from harness.store import only_one, write_whole
    from harness.verify import problems

    folder, root = _run_folder(given.run), find_root(Path.cwd())
    if problem := next(iter(problems(folder)), None):
        raise Mistake(f"{folder} is not to be believed: {visible(problem)}", 1)
    run = read_run(folder)
    written: dict[str, None] = {}

    def before(name: str) -> bytes | None:
        return (root / name).read_bytes() if (root / name).exists() else None

    with only_one(f"golden {root}"):
        for check in run.plan.checks:
            room = rooms.evaluator(check.kind)
            try:
                found = rooms.optional(room, "commit", check, run.outcomes(check.id).values(), before)
                if found is not None:
                    (root / found[0]).parent.mkdir(parents=True, exist_ok=True)
                    write_whole(root / found[0], found[1])
                    written[found[0]] = None
            except OSError as error:
                raise Mistake(f"{error.filename} can't be written: {error.strerror}", 1) from None
            except ValueError as error:
                raise Mistake(f"what {check.name} is held against can't be read: {error}", 1) from None
    if not written:
        raise Mistake(f"no check of {folder} keeps anything to be held against; give one `against:` a file", NOTHING)
    for name in written:
        print(name)
    return 0


# ---------------------------------------------------------------------------------------- the others

_SPEC = """\
# yaml-language-server: $schema=spec.schema.json
hallmark: 1
name: "{name}"
about: what this model must do

models:
  parrot: {{echo: {{}}}}                # answers what it is asked: put your model here
  # saved: {{replay: answers.jsonl}}   # or certify answers that you already have

checks:
  - name: repeats
    kind: golden
    model: parrot
    cases: ../golden/cases.jsonl
    compare: normalised
"""
_CASES = """\
{"id": "greeting", "input": "Good morning!", "expect": "good morning"}
{"id": "farewell", "input": "See you.", "expect": "see you"}
"""


def _init(given: argparse.Namespace) -> int:
    from harness.codec import to_pretty_json
    from harness.spec.envelope import spec_schema

    folder = Path(given.folder)
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", folder.absolute().name).lstrip("._-") or "project"
    marker = {} if _in_a_project(folder) else {"pytest.ini": b"[pytest]\ntestpaths = specs\n", ".gitignore": b"runs/\n"}
    files = {
        **marker,
        f"specs/{name}.yaml": _SPEC.format(name=name).encode(),
        "specs/spec.schema.json": to_pretty_json(spec_schema()),
        "golden/cases.jsonl": _CASES.encode(),
    }
    if taken := [path for path in files if (folder / path).exists()]:
        raise Mistake(f"{folder / taken[0]} is there already; nothing was written")
    try:
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
            print(folder / path)
    except OSError as error:
        raise Mistake(f"{error.filename} can't be written: {error.strerror}") from None
    print(f"next: cd {folder} && hallmark run specs")
    return 0


def _in_a_project(folder: Path) -> bool:
    """Whether a folder above marks the project's root; where none does, we write the mark."""
    from harness.spec.places import find_root, marks_root

    return marks_root(find_root(folder.absolute()))


def _models(given: argparse.Namespace) -> int:
    from harness.shelf import is_built

    # A word that is no path is a model's name, as `models inspect int8` has it.
    named = [word for word in given.paths if not Path(word).exists() and not word.endswith((".yaml", ".yml"))]
    given.paths = [path for path in given.paths if path not in named] or ["specs"]
    plan, shelf = _read(given)
    names = {*given.model, *named}
    known = {model.name for model in plan.models.values()}
    for unknown in sorted(names - known):
        from harness.spec.faults import meant

        raise Mistake(f"there is no model `{unknown}`; {meant(unknown, known)}")
    chosen = {key: model for key, model in plan.models.items() if not names or model.name in names}
    if given.what == "inspect":
        return _inspect(chosen, shelf, as_json=given.json)
    done: set[str] = set()
    failed = 0
    for key, model in chosen.items():
        if given.what == "list":
            print(f"{key:<40} {model.made():<24} {_KEPT[is_built(model, shelf)]:<18} recipe {model.recipe[7:19]}")
        elif model.recipe not in done:
            done.add(model.recipe)
            failed += not _build(key, model, shelf)
    return int(failed > 0)


def _build(key: str, model: Declared, shelf: Shelf) -> bool:
    """Build what is not built yet of a model; whether that went well."""
    from harness.shelf import explain, folder_of, is_built

    kept = is_built(model, shelf)
    if kept is None:
        print(f"{key}: nothing to build")
        return True
    try:
        folder_of(model, shelf)
    except Exception as error:
        print(f"hallmark: {key} can't be built: {explain(error)}", file=sys.stderr)
        return False
    print(f"{key}: {'built before' if kept else 'built'}")
    return True


def _inspect(models: Mapping[str, Declared], shelf: Shelf, *, as_json: bool) -> int:
    """The layers of each model's weights: parameters, bytes, bits a weight, sparsity."""
    from harness import inspection, rooms
    from harness.codec import to_pretty_json
    from harness.shelf import explain, folder_of

    found: dict[str, Any] = {}
    folders: dict[str, Path] = {}
    failed = False
    for key, model in models.items():
        inspect = getattr(rooms.source(model.how), "inspect", None)
        if inspect is None:
            print(f"{key}: `{model.how}` has no weights here to look into", file=sys.stderr)
            continue
        try:
            folders[key] = folder_of(model, shelf)
            found[key] = inspect(folders[key])
        except Exception as error:
            failed = True
            print(f"hallmark: {key} can't be looked into: {explain(error)}", file=sys.stderr)
    if as_json:
        sys.stdout.write(to_pretty_json(found).decode())
    else:
        print(
            "\n\n".join(
                inspection.table(f"{key} ({models[key].made()}), {folders[key]}", layers)
                for key, layers in found.items()
            )
        )
    return int(failed)


def _schema(given: argparse.Namespace) -> int:
    from harness.codec import to_pretty_json
    from harness.schemas import FOLDER, SCHEMAS

    if not given.write:
        sys.stdout.write(to_pretty_json(SCHEMAS[given.name]()).decode())
        return 0
    for name, make in SCHEMAS.items():
        path = FOLDER / f"{name}.json"
        path.write_bytes(to_pretty_json(make()))
        print(path)
    return 0


def _doctor(given: argparse.Namespace) -> int:
    import importlib

    from harness import numerics, provenance, rooms

    os.environ.setdefault("MLX_ENABLE_TF32", "0")
    facts = dict(provenance.machine())
    try:
        importlib.import_module("mlx.core").eval(importlib.import_module("mlx.core").ones(1))
        facts |= provenance.backend()
    except Exception as error:
        facts["mlx"] = f"not usable here ({error}); on Linux install mlx-hallmark[mlx], or [cuda12] or [cuda13]"
    groups = {"kinds": rooms.EVALUATORS, "sources": rooms.SOURCES, "variants": rooms.VARIANTS, "reports": rooms.REPORTS}
    facts |= {word: rooms.names(group) for word, group in groups.items()}
    for name, fact in facts.items():
        print(f"{name:<14} {', '.join(map(str, fact)) if isinstance(fact, list) else fact}")
    print("multiplication, 256 rows by 1024 x 1024 in float32, one thread; `--numerics fast` takes the first fast one:")
    for speed in numerics.speeds():
        rate = f"{speed.gflops:7.1f} GFLOP/s" if speed.gflops is not None else "      - "
        print(f"  {speed.name:<28} {rate}  {speed.detail}")
    if not numerics.lanes():
        print("  no fast BLAS is to be had here: `numerics: fast` computes as strict does, and says so")
    return 0


if __name__ == "__main__":
    sys.exit(main())
