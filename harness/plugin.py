"""Hallmark's hooks into pytest. Imports nothing heavy: in a project without specs it looks for them and is gone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.contract import Plan
    from harness.items import Selection
    from harness.resuming import Again

_SINGLY = ("keyword", "lf", "failedfirst", "newfirst", "stepwise", "collectonly", "maxfail", "deselect")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hallmark")
    group.addoption(
        "--hallmark-runs", metavar="DIR", help="where run folders go (default: runs, below the project's root)"
    )
    group.addoption(
        "--numerics",
        choices=["strict", "fast"],
        help="strict: the backend as installed, bit-exact; fast: a fast BLAS in front of it (default: as specs say)",
    )
    group.addoption(
        "--allow-python",
        action="store_true",
        help="let code run that a spec or a model's folder names: `python:` models, `model_file` of a model's config",
    )
    group.addoption(
        "--allow-host",
        action="append",
        metavar="HOST",
        help="let load tests put a load on this host; this machine may always be",
    )
    group.addoption("--resume", metavar="RUN", help="take up a run that was cut short: measure what has no outcome yet")
    group.addoption(
        "--retry-errors",
        action="store_true",
        help="with --resume: measure again, too, where what carries a model failed, and not its answer",
    )
    parser.addini("hallmark_allow_hosts", "as --allow-host, a list of them", type="args", default=[])
    parser.addini("hallmark_allow_python", "as --allow-python", type="bool", default=False)
    parser.addini("hallmark_runs", "where run folders go, below the project's root", default="runs")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Take ids out of the arguments: pytest splits an argument at its first bracket, and ours come earlier."""
    if not any("::" in arg for arg in config.args) or config.option.help:
        return
    from harness.spec.places import find_specs

    plain: dict[str, None] = {}
    ids: list[str] = []
    files: list[str] = []
    for arg in config.args:
        path, mark, rest = arg.partition("::")
        if not find_specs([config.invocation_params.dir / path]):
            plain[arg] = None
            continue
        plain[path] = None
        (ids if mark else files).append(f"{path}::{rest}" if mark else path)
    config.args[:] = list(plain)
    if ids:
        config.stash[_ASKED] = (ids, files)


_ASKED: pytest.StashKey[tuple[list[str], list[str]]] = pytest.StashKey()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    given = getattr(config, "workerinput", None)
    if given is not None:
        if "hallmark" in given:
            _start_worker(config, given)
        return
    specs = _find(session)
    if not specs:
        return
    from harness.controller import start

    _refuse_what_workers_would(config)
    if config.option.retry_errors and not config.option.resume:
        raise pytest.UsageError("--retry-errors says what --resume RUN does; name the run")
    again = _again(config, specs) if config.option.resume else None
    plan = _plan(config, specs) if again is None else again.plan
    start(session, plan, _selection(config, plan, again), again)


def _find(session: pytest.Session) -> list[Path]:
    """The spec files that this session's arguments reach; what pytest would ignore is ignored."""
    from harness.spec.places import find_specs

    config = session.config

    def skip(path: Path) -> bool:
        return bool(session.gethookproxy(path.parent).pytest_ignore_collect(collection_path=path, config=config))

    paths = [config.invocation_params.dir / arg.partition("::")[0] for arg in config.args]
    return find_specs([path for path in paths if path.exists()], skip=skip)


def _refuse_what_workers_would(config: pytest.Config) -> None:
    """Mistakes in the arguments that without workers are a usage error, and with them pass or end in a traceback."""
    if not config.pluginmanager.has_plugin("dsession"):
        return
    from _pytest.mark import _parse_expression

    _parse_expression(config.option.keyword, "Wrong expression passed to '-k'")
    _parse_expression(config.option.markexpr, "Wrong expression passed to '-m'")
    for arg in config.args:
        if not config.option.pyargs and not (config.invocation_params.dir / arg.partition("::")[0]).exists():
            raise pytest.UsageError(f"file or directory not found: {arg}")


def _plan(config: pytest.Config, specs: list[Path]) -> Plan:
    from harness.collecting import shelf
    from harness.rooms import NoSuchRoom
    from harness.spec.faults import SpecFaults
    from harness.spec.memory import read_plan

    try:
        return read_plan(specs, shelf(config), config.option.numerics)
    except NoSuchRoom as error:
        raise pytest.UsageError(str(error)) from None
    except SpecFaults as faults:
        sys.stdout.flush()
        print(faults, file=sys.stderr)
        raise pytest.UsageError(faults.args[0]) from None


def _again(config: pytest.Config, specs: list[Path]) -> Again:
    """The run that is to be taken up; its specs have to be among what this session was given."""
    from harness.collecting import runs_of, shelf
    from harness.resuming import NotResumed, resume
    from harness.spec.faults import SpecFaults

    named = config.option.resume
    below = runs_of(config) / named
    folder = below if below.is_dir() else config.invocation_params.dir / named
    try:
        again = resume(folder.resolve(), shelf(config), retry=config.option.retry_errors)
    except NotResumed as error:
        raise pytest.UsageError(str(error)) from None
    except SpecFaults as faults:
        print(faults, file=sys.stderr)
        raise pytest.UsageError(f"the run can't be taken up: {faults.args[0]}") from None
    if config.option.numerics not in (None, again.plan.numerics):
        raise pytest.UsageError(f"the run is of {again.plan.numerics} numerics: leave `--numerics` out")
    given = {os.path.abspath(spec) for spec in specs}
    lacking = [spec.path for spec in again.plan.specs if os.path.abspath(config.rootpath / spec.path) not in given]
    if lacking:
        raise pytest.UsageError(f"the run is of {lacking[0]} too: name it, or the folder that it is in")
    return again


def _selection(config: pytest.Config, plan: Plan, again: Again | None) -> Selection:
    from harness.items import Selection
    from harness.spec.places import shown

    def named(arg: str) -> str:
        path, mark, rest = arg.partition("::")
        return shown(config.invocation_params.dir / path, config.rootpath) + mark + rest

    ids, files = config.stash.get(_ASKED, ([], []))
    singly = any(getattr(config.option, name, None) for name in _SINGLY)
    done = again.done() if again else {}
    selection = Selection(ids=tuple(map(named, ids)), files=tuple(map(named, files)), singly=singly, done=done)
    if unknown := selection.unknown(plan):
        raise pytest.UsageError("\n".join(unknown))
    return selection


def _start_worker(config: pytest.Config, given: dict[str, Any]) -> None:
    from harness.worker import Worker

    config.pluginmanager.register(Worker(config, given), "hallmark-worker")
