"""What CI runs, each session in an environment of its own: `nox`, or `nox -s tests-3.12`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "tests", "wheel", "certify"]
PYTHONS = ["3.11", "3.12", "3.13"]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The test suite."""
    session.install("-e", ".[dev]")
    session.run("pytest", "-n", "auto", "-q", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, and the directions in which imports may run."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def certify(session: nox.Session) -> None:
    """Our own specs: builds the models, runs them in parallel, leaves the certificate in runs/latest."""
    session.install("-e", ".[mlx,zoo,load,security]")
    session.run("hallmark", "models", "build", "specs")
    session.run("hallmark", "run", "specs", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """A million strange specs: hours on two cores. CI takes ten thousand."""
    session.install("-e", ".[dev]")
    session.run("python", "benchmarks/fuzz.py", "--many", "1000000", *session.posargs)


@nox.session
def schema(session: nox.Session) -> None:
    """Writes the committed JSON Schemas anew."""
    session.install("-e", ".")
    session.run("hallmark", "schema", "--write")


@nox.session
def wheel(session: nox.Session) -> None:
    """The built wheel, in an environment that holds it and what it asks for, and nothing else."""
    session.install("build")
    folder = Path(tempfile.mkdtemp(prefix="hallmark-wheel-"))
    session.run("python", "-m", "build", "--wheel", "--outdir", str(folder / "dist"), silent=True)
    (built,) = sorted((folder / "dist").glob("*.whl"))[-1:]
    session.install(f"{built}[mlx,zoo]")
    with session.chdir(folder):
        session.run("hallmark", "init", "first")
    with session.chdir(folder / "first"):
        session.run("hallmark", "run", "specs")
        session.run("hallmark", "verify")
        session.run("hallmark", "doctor")


@nox.session
def bench(session: nox.Session) -> None:
    """The engine's overhead against plain pytest, and batches against one at a time, as ratios."""
    session.install("-e", ".[dev]")
    session.run("python", "benchmarks/overhead.py", *session.posargs)
    session.run("python", "benchmarks/batching.py", *session.posargs)
    session.run("python", "benchmarks/determinism.py", *session.posargs)
