"""From `package.module:function` to the function, and to the source that decides what it answers."""

from __future__ import annotations

import difflib
import importlib
import inspect
import platform
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from harness.codec import digest_of, digest_of_file
from harness.contract import Refused


class Found(NamedTuple):
    """A function that a spec names."""

    named: str
    call: Callable[..., Any]
    digest: str
    facts: Mapping[str, Any]


def find(named: str, root: Path) -> Found:
    module_name, _, path = named.partition(":")
    with importable(root):
        module = _imported(module_name, root)
    call = _attribute(module, module_name, path)
    if not callable(call):
        raise Refused(f"`{named}` is a {type(call).__name__} and can't be called; name a function")
    _takes_one(named, call)
    sources = _sources(module, call, root)
    facts: dict[str, Any] = {"module": module_name, "function": path, "sources": len(sources)}
    if shown := _shown(module, root):
        facts["file"] = shown
    return Found(named, call, digest_of([named, sources or platform.python_version()]), facts)


@contextmanager
def importable(root: Path) -> Iterator[None]:
    """The project's own modules can be imported inside, as they can in a program that is started in its root."""
    path = str(root)
    sys.path.insert(0, path)
    try:
        yield
    finally:
        if path in sys.path:
            sys.path.remove(path)


def _imported(name: str, root: Path) -> ModuleType:
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        lacking = error.name or ""
        if name != lacking and not name.startswith(f"{lacking}."):
            raise Refused(f"`{name}` can't be imported: it imports `{lacking}`, which is not installed") from None
        raise Refused(_lacking(name, root)) from None
    except (Exception, SystemExit) as error:
        raise Refused(f"`{name}` can't be imported: {_in_short(error)}") from None


def _lacking(name: str, root: Path) -> str:
    top = name.partition(".")[0]
    known = sys.modules.get(top)
    here = (root / top).is_dir() or (root / f"{top}.py").is_file()
    if known is not None and here and not _within(known, root):
        return f"this project's `{top}` has the name of a package that is loaded already; rename it"
    return f"there is no module `{name}`; it is looked for from the project's root, and among what is installed"


def _within(module: ModuleType, root: Path) -> bool:
    places = [*map(Path, getattr(module, "__path__", ())), *filter(None, [_file(module)])]
    return any(place.resolve().is_relative_to(root.resolve()) for place in places)


def _in_short(error: BaseException) -> str:
    """An exception in one line, with the place in the user's code that it comes from."""
    said = (str(error).strip().splitlines() or [""])[0][:300]
    if isinstance(error, SyntaxError):  # says itself where
        return f"{type(error).__name__}: {said}"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {said}{where}"


def _attribute(module: ModuleType, module_name: str, path: str) -> Any:
    value: Any = module
    holder = module_name
    for name in path.split("."):
        if not hasattr(value, name):
            near = difflib.get_close_matches(name, [each for each in dir(value) if not each.startswith("_")], 1)
            instead = f"did you mean `{near[0]}`?" if near else "name a function that it defines"
            raise Refused(f"`{holder}` has no `{name}`; {instead}")
        value = getattr(value, name)
        holder += f"{'.' if ':' in holder else ':'}{name}"
    return value


def _takes_one(named: str, call: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(call)
    except (ValueError, TypeError):  # of a builtin that doesn't tell
        return
    try:
        signature.bind(None)
    except TypeError:
        raise Refused(f"`{named}` can't be called with one input: it is {signature}; give it one parameter") from None


def bare(call: Any) -> Any:
    """The function below decorators and arguments given beforehand."""
    while isinstance(call, partial):
        call = call.func
    return inspect.unwrap(call)


def _sources(module: ModuleType, call: Callable[..., Any], root: Path) -> dict[str, str]:
    """Digests of what decides the answers: of the module, of the one that defines the function, of its package here."""
    home = sys.modules.get(getattr(bare(call), "__module__", None) or "", module)
    files = {each.__name__: file for each in (module, home) if (file := _file(each)) is not None}
    for place in getattr(sys.modules.get(module.__name__.partition(".")[0]), "__path__", ()):
        package = Path(place).resolve()
        ours = package.is_relative_to(root.resolve()) and "site-packages" not in package.parts
        if ours and package != root.resolve():
            files |= {file.relative_to(package).as_posix(): file for file in package.rglob("*.py")}
    return {name: digest_of_file(file) for name, file in sorted(files.items()) if file.is_file()}


def _file(module: ModuleType) -> Path | None:
    named = getattr(module, "__file__", None)
    return Path(named).resolve() if named else None


def _shown(module: ModuleType, root: Path) -> str:
    file = _file(module)
    return file.relative_to(root.resolve()).as_posix() if file and file.is_relative_to(root.resolve()) else ""
