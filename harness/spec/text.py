"""The strict YAML reader: libyaml's events, built into dicts and lists that remember where they were written.

Values that YAML 1.1 and 1.2 read differently are faults, as are duplicate keys, tags, merge keys, aliases that explode
and depth: all found on the events, before anything is built from them, so that no input makes the reader recurse.
"""

from __future__ import annotations

import math
import re
from typing import Any, NoReturn

import yaml

from harness.spec.faults import Fault, Page, SpecFaults, Spot, refusal
from harness.spec.syntax import complaint

BYTES = 5_000_000
DEPTH = 64
ALIASED = 10_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Map(dict[str, Any]):
    """A mapping that knows where it and each of its keys and values were written."""

    __slots__ = ("keys_at", "spot", "values_at")

    def __init__(self, spot: Spot) -> None:
        super().__init__()
        self.spot = spot
        self.keys_at: dict[str, Spot] = {}
        self.values_at: dict[str, Spot] = {}

    def put(self, key: str, value: Any, key_at: Spot, value_at: Spot) -> None:
        self[key] = value
        self.keys_at[key] = key_at
        self.values_at[key] = value_at

    def take(self, other: Map, key: str) -> None:
        self.put(key, other[key], other.keys_at[key], other.values_at[key])

    def without(self, *keys: str) -> Map:
        fresh = Map(self.spot)
        for key in self:
            if key not in keys:
                fresh.take(self, key)
        return fresh


class Seq(list[Any]):
    """A sequence that knows where it and each of its items were written."""

    __slots__ = ("items_at", "spot")

    def __init__(self, spot: Spot) -> None:
        super().__init__()
        self.spot = spot
        self.items_at: list[Spot] = []

    def put(self, value: Any, at: Spot) -> None:
        self.append(value)
        self.items_at.append(at)


def bare(value: Any) -> Any:
    """The same value as ordinary dicts and lists."""
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items()}
    if isinstance(value, list):
        return [bare(item) for item in value]
    return value


def find(value: Any, path: tuple[str | int, ...], spot: Spot) -> Spot:
    """Where the thing at `path` was written, or the nearest thing above it that was."""
    for step in path:
        if isinstance(value, Map) and step in value:
            spot, value = value.values_at[str(step)], value[str(step)]
        elif isinstance(value, Seq) and isinstance(step, int) and step < len(value):
            spot, value = value.items_at[step], value[step]
        else:
            break
    return spot


def read_text(data: bytes, name: str, limit: int = BYTES) -> Page:
    """The file's text: UTF-8, of a size and without characters that no text has."""
    if len(data) > limit:
        _refuse(Page(name, ""), 1, 1, "too-large", f"the file has {len(data):,} bytes, more than {limit:,}", "split it")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        _refuse(Page(name, ""), 1, 1, "encoding", "the file is UTF-16", "save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        page = Page(name, data.decode("utf-8", "replace"))
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        _refuse(
            page,
            before.count(b"\n") + 1,
            column,
            "encoding",
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            "save the file as UTF-8",
        )
    page = Page(name, text)
    if bad := _CONTROL.search(text):
        line, column = place(text, bad.start())
        _refuse(
            page,
            line,
            column,
            "control-character",
            f"U+{ord(bad.group()):04X} may not stand in a file",
            "remove it, or write it as an escape in double quotes",
        )
    return page


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_ODD_BREAK = re.compile("[\x85\u2028\u2029]|\r(?!\n)")


def place(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def _refuse(page: Page, line: int, column: int, code: str, what: str, instead: str = "") -> NoReturn:
    raise refusal(Spot(page, line, column), code, what, instead)


class _Frame:
    __slots__ = ("anchor", "height", "into", "key", "key_at", "nodes", "repeated", "value_at")

    def __init__(self, into: Map | Seq, anchor: str | None, value_at: Spot) -> None:
        self.into = into
        self.anchor = anchor
        self.value_at = value_at
        self.key: str | None = None
        self.key_at = value_at
        self.repeated = False
        self.nodes = 1
        self.height = 1


def read_yaml(data: bytes, name: str, faults: list[Fault], limit: int = BYTES) -> Any:
    """The document, or SpecFaults where it can't be read on; what can be read past is added to `faults`."""
    page = read_text(data, name, limit)
    if bad := _ODD_BREAK.search(page.text):
        line, column = place(page.text, bad.start())
        _refuse(
            page,
            line,
            column,
            "surprise",
            f"U+{ord(bad.group()):04X} breaks the line to some readers and not to others",
            "end lines with a line feed, or write it as an escape in double quotes",
        )
    return _Builder(page, faults).read()


class _Builder:
    """Builds a document from events with a stack of its own."""

    def __init__(self, page: Page, faults: list[Fault]) -> None:
        self.page = page
        self.faults = faults
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Any, int, int] | None] = {}
        """What each anchor stands for, its number of values and its height; None while it is being read."""
        self.aliased = 0
        self.root: Any = None
        self.seen = 0

    def read(self) -> Any:
        try:
            for event in yaml.parse(self.page.text, Loader=_Loader):
                self.take(event)
        except yaml.MarkedYAMLError as error:
            line, column, what, instead = complaint(error, self.page)
            self.stop(Spot(self.page, line, column), "yaml", what, instead)
        except yaml.YAMLError as error:
            self.stop(Spot(self.page, 1, 1), "yaml", str(error).split("\n")[0])
        return self.root

    def stop(self, spot: Spot, code: str, what: str, instead: str = "") -> NoReturn:
        raise SpecFaults([*self.faults, Fault(spot, code, what, instead)])

    def spot(self, event: Any) -> Spot:
        mark = event.start_mark
        return Spot(self.page, mark.line + 1, mark.column + 1)

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self.scalar(event)
        elif kind is yaml.MappingStartEvent:
            spot = self.spot(event)
            self.open(event, Map(spot), spot)
        elif kind is yaml.SequenceStartEvent:
            spot = self.spot(event)
            self.open(event, Seq(spot), spot)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            frame = self.stack.pop()
            if frame.anchor:
                self.anchors[frame.anchor] = (frame.into, frame.nodes, frame.height)
            self.place(frame.into, frame.value_at, frame.nodes, frame.height)
        elif kind is yaml.AliasEvent:
            self.alias(event)
        elif kind is yaml.DocumentStartEvent:
            self.seen += 1
            if self.seen > 1:
                self.stop(
                    self.spot(event), "several-documents", "a second document starts here", "keep one document a file"
                )

    def open(self, event: Any, into: Map | Seq, spot: Spot) -> None:
        if len(self.stack) >= DEPTH:
            self.too_deep(spot)
        self.no_tag(event, spot)
        if self.stack and isinstance(self.stack[-1].into, Map) and self.stack[-1].key is None:
            self.stop(spot, "key", "a key must be a word", "write it as text")
        if event.anchor:
            self.anchors[event.anchor] = None
        self.stack.append(_Frame(into, event.anchor, spot))

    def too_deep(self, spot: Spot) -> NoReturn:
        self.stop(spot, "too-deep", f"nested more than {DEPTH} deep", "flatten it")

    def no_tag(self, event: Any, spot: Spot) -> None:
        if event.tag is not None:
            self.faults.append(
                Fault(
                    spot,
                    "tag",
                    f"the tag `{event.tag}` is not part of the language",
                    "remove it; quote the value if it is text",
                )
            )

    def alias(self, event: Any) -> None:
        spot = self.spot(event)
        if event.anchor not in self.anchors:
            self.stop(
                spot,
                "alias",
                f"`*{event.anchor}` has no anchor above it",
                f"write `&{event.anchor}` where it is defined",
            )
        known = self.anchors[event.anchor]
        if known is None:
            self.stop(spot, "alias", f"`*{event.anchor}` stands inside itself", "write the value out")
        value, nodes, height = known
        if len(self.stack) + height > DEPTH:
            self.too_deep(spot)
        self.aliased += nodes
        if self.aliased > ALIASED:
            self.stop(
                spot,
                "alias",
                f"aliases expand to more than {ALIASED:,} values",
                "write the values out, or use `defaults:`",
            )
        frame = self.stack[-1] if self.stack else None
        if frame and isinstance(frame.into, Map) and frame.key is None:
            self.stop(spot, "key", "a key must be a word, not an alias", "write it out")
        self.place(value, spot, nodes, height)

    def scalar(self, event: Any) -> None:
        spot = self.spot(event)
        self.no_tag(event, spot)
        text = event.value
        frame = self.stack[-1] if self.stack else None
        if frame is not None and frame.key is None and isinstance(frame.into, Map):
            self.key(frame, event, text, spot)
            return
        value: Any = text
        if not event.style and event.tag is None:
            try:
                value = read_plain(text)
            except Surprise as surprise:
                self.faults.append(Fault(spot, *surprise.said))
        if event.anchor:
            self.anchors[event.anchor] = (value, 1, 0)
        self.place(value, spot, 1, 0)

    def key(self, frame: _Frame, event: Any, text: str, spot: Spot) -> None:
        if not event.style:
            if text == "<<":
                self.stop(spot, "merge-key", "merge keys are not part of the language", "use `defaults:` or `include:`")
            try:
                if not isinstance(read_plain(text), str):
                    self.faults.append(Fault(spot, "key", f"the key `{text}` is not text", f'quote it: "{text}"'))
            except Surprise as surprise:
                self.faults.append(Fault(spot, *surprise.said))
        frame.repeated = text in frame.into
        if frame.repeated:
            assert isinstance(frame.into, Map)
            first = frame.into.keys_at[text].line
            self.faults.append(Fault(spot, "duplicate-key", f"`{text}` stands here and on line {first}", "keep one"))
        frame.key = text
        frame.key_at = spot

    def place(self, value: Any, at: Spot, nodes: int, height: int) -> None:
        if not self.stack:
            self.root = value
            return
        frame = self.stack[-1]
        frame.nodes += nodes
        frame.height = max(frame.height, height + 1)
        into = frame.into
        if isinstance(into, Seq):
            into.append(value)
            into.items_at.append(at)
            return
        assert frame.key is not None
        if not frame.repeated:
            into.put(frame.key, value, frame.key_at, at)
        frame.key = None


class Surprise(Exception):
    """A plain scalar that two readers of YAML would not agree on."""

    def __init__(self, code: str, what: str, instead: str) -> None:
        super().__init__(what)
        self.said = (code, what, instead)


_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_BOOLISH = {f(word) for word in ("yes", "no", "on", "off") for f in (str.lower, str.upper, str.title)}
_NUMERIC = re.compile(r"[-+.0-9]")
_INT = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]+)?\Z")
_NUMBER_LIKE = re.compile(
    r"""(?x)
    (?P<unending>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))
  | (?P<time>[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)
  | (?P<date>[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt\ ].*)?)
  | (?P<based>[-+]?0[xob][0-9a-fA-F_]+)
  | (?P<padded>[-+]?0[0-9_]+(?:\.[0-9]*)?)
  | (?P<exponent>[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+)
  | (?P<odd>[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+))
    """
)


def read_plain(text: str) -> Any:
    """An unquoted scalar as null, true, false, a number or text; Surprise where readers would disagree."""
    if text in _WORDS:
        return _WORDS[text]
    if text in _BOOLISH:
        raise Surprise(
            "surprise",
            f"`{text}` is a boolean to some readers and text to others",
            f'write `true` or `false`, or quote it: "{text}"',
        )
    if not _NUMERIC.match(text):
        return text
    if _INT.match(text):
        if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
            raise Surprise("number", "the number does not fit in 64 bits", "quote it")
        return int(text)
    if _FLOAT.match(text):
        number = float(text)
        if not math.isfinite(number):
            raise Surprise("number", "the number is infinite", "write a finite one")
        return number
    match = _NUMBER_LIKE.fullmatch(text)
    if not match:
        return text
    quoted = f'quote it: "{text}"'
    match match.lastgroup:
        case "unending":
            raise Surprise("number", f"`{text}` is not a finite number", "write a finite one")
        case "time":
            raise Surprise("surprise", f"`{text}` is a number in base 60 to some readers", quoted)
        case "date":
            raise Surprise("surprise", f"`{text}` is a date to some readers", quoted)
        case "based" | "padded":
            raise Surprise(
                "surprise",
                f"`{text}` is read in different bases by different readers",
                f"write it in decimal without leading zeros, or {quoted}",
            )
        case "exponent":
            raise Surprise(
                "surprise",
                f"`{text}` is a number to some readers and text to others",
                f"write it out, as 0.001, or with a point and a sign, as 1.0e-3, or {quoted}",
            )
        case _:
            raise Surprise(
                "surprise",
                f"`{text}` is a number to some readers and text to others",
                f"write it plainly, as 1000 or 0.5, or {quoted}",
            )
