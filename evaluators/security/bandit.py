"""Python code that does what attackers like, found by bandit's own tests.

bandit: {paths: [../harness], exclude: ["**/vendored/**"], fail_on: medium, confidence: medium}
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from evaluators.security import files as reading
from evaluators.security.finding import Confidence, Finding, Look, Missing, Scanned, Severity, identify, identify_secret

SCHEMA = {
    "properties": {
        "paths": reading.PATHS,
        "exclude": reading.EXCLUDE,
    },
    "required": ["paths"],
}
ENDINGS = (".py", ".pyi", ".pyw")
_SEVERITIES: Mapping[str, Severity] = {"LOW": "low", "MEDIUM": "medium", "HIGH": "high"}
_CONFIDENCES: Mapping[str, Confidence] = {"LOW": "low", "MEDIUM": "medium", "HIGH": "high"}
_OF_SECRETS = ("B105", "B106", "B107")
"""Rules whose lines hold a password."""
_FASTEN = "parse it with defusedxml"
_REPLACE = "use a library that is kept up, such as cryptography"
_QUOTE = "give the program and its words as a list, without a shell"

_RULES: Mapping[str, tuple[str, str]] = {
    "B101": ("an assert, which `python -O` leaves out", "raise an exception where it guards something"),
    "B102": ("exec of text", "call a function instead"),
    "B103": ("a file that others may write or run", "give it the narrowest mode, such as 0o600"),
    "B104": ("a server on all interfaces", "bind to 127.0.0.1, or to the interface that is meant"),
    "B105": ("a password in a variable", "read it from the environment or a secret store"),
    "B106": ("a password among the arguments of a call", "read it from the environment or a secret store"),
    "B107": ("a password as a default", "read it from the environment or a secret store"),
    "B108": ("a name in a folder for temporary files that others can guess", "use the module tempfile"),
    "B110": ("an exception that is passed over", "catch what is meant, and say so somewhere"),
    "B112": ("an exception that is passed over in a loop", "catch what is meant, and say so somewhere"),
    "B113": ("a request without a limit on its time", "give it a `timeout`"),
    "B201": ("a Flask application in debug mode", "take `debug=True` out"),
    "B202": ("an archive unpacked without a look at its names", "give `extractall` a filter such as `data`"),
    "B301": ("reading of a pickle, which can run anything", "read JSON or safetensors instead"),
    "B302": ("reading of marshalled data, which can crash or worse", "read JSON instead"),
    "B303": ("a broken hash", "use sha256"),
    "B304": ("a broken cipher", "use AES in GCM mode"),
    "B305": ("a weak cipher mode", "use GCM"),
    "B306": ("mktemp, whose name another may take first", "use mkstemp or NamedTemporaryFile"),
    "B307": ("eval of text", "use ast.literal_eval, or parse it"),
    "B308": ("mark_safe, which lets HTML through", "let the template escape it"),
    "B310": ("an address that is opened whatever its scheme", "check that it starts with https:"),
    "B311": ("chance that can be foreseen", "use the module secrets where it has to be secret"),
    "B312": ("telnet", "use ssh"),
    "B313": ("XML of strangers read by cElementTree", _FASTEN),
    "B314": ("XML of strangers read by ElementTree", _FASTEN),
    "B315": ("XML of strangers read by expatreader", _FASTEN),
    "B316": ("XML of strangers read by expatbuilder", _FASTEN),
    "B317": ("XML of strangers read by sax", _FASTEN),
    "B318": ("XML of strangers read by minidom", _FASTEN),
    "B319": ("XML of strangers read by pulldom", _FASTEN),
    "B321": ("FTP", "use SFTP or HTTPS"),
    "B323": ("TLS that checks no certificate", "use ssl.create_default_context()"),
    "B324": ("a broken hash", "use sha256, or say usedforsecurity=False where nothing hangs on it"),
    "B401": ("an import of telnetlib", "use ssh"),
    "B402": ("an import of ftplib", "use SFTP or HTTPS"),
    "B403": ("an import of pickle or the like", "read JSON or safetensors where the data may be a stranger's"),
    "B404": ("an import of subprocess", "see that nothing foreign reaches its words"),
    "B405": ("an import of xml.etree", _FASTEN),
    "B406": ("an import of xml.sax", _FASTEN),
    "B407": ("an import of xml.parsers.expat", _FASTEN),
    "B408": ("an import of xml.dom.minidom", _FASTEN),
    "B409": ("an import of xml.dom.pulldom", _FASTEN),
    "B411": ("an import of xmlrpc", "patch it by defusedxml.xmlrpc"),
    "B412": ("a CGI handler that trusts the header Proxy", "serve it another way"),
    "B413": ("an import of pycrypto", _REPLACE),
    "B415": ("an import of pyghmi, whose protocol has no encryption", "manage the machine another way"),
    "B501": ("a request that checks no certificate", "take `verify=False` out"),
    "B502": ("a version of TLS that is broken", "use ssl.create_default_context()"),
    "B503": ("a version of TLS that is broken, as a default", "use ssl.create_default_context()"),
    "B504": ("TLS without a version", "use ssl.create_default_context()"),
    "B505": ("a key that is too short", "use 3072 bits for RSA, or an elliptic curve"),
    "B506": ("YAML that may build any object", "use yaml.safe_load"),
    "B507": ("ssh that takes any host's key", "refuse hosts that are not known"),
    "B508": ("SNMP in a version without encryption", "use version 3"),
    "B509": ("SNMP without encryption", "use version 3 with authPriv"),
    "B601": ("a command that paramiko has run by a shell", "see that nothing foreign reaches it"),
    "B602": ("a program started by a shell", _QUOTE),
    "B603": ("a program started with words that may be foreign", "see that nothing foreign reaches its words"),
    "B604": ("a function called with shell=True", _QUOTE),
    "B605": ("a program started by a shell", _QUOTE),
    "B606": ("a program started in place of this one", "see that nothing foreign reaches its words"),
    "B607": ("a program that is looked for along PATH", "name it by its full path"),
    "B608": ("SQL put together from text", "pass values as parameters of the query"),
    "B609": ("a command whose `*` a file's name can misuse", "write `./*`, or list the files in Python"),
    "B610": ("SQL put into Django's `extra`", "use the query's own methods"),
    "B611": ("SQL put into Django's RawSQL", "use the query's own methods"),
    "B612": ("a log configuration taken from the network", "give `listen` a `verify`"),
    "B613": ("characters that turn writing around, so that code reads otherwise than it runs", "take them out"),
    "B614": ("weights that are read as a pickle", "use weights_only=True, or safetensors"),
    "B615": ("a download of a model or data whose revision is not pinned", "give it a `revision`: a commit"),
    "B701": ("templates that escape nothing", "use autoescape=True"),
    "B702": ("mako templates, which escape nothing", "escape with the filter h"),
    "B703": ("text that Django is told to be safe HTML", "let the template escape it"),
    "B704": ("text that markupsafe is told to be safe HTML", "let the template escape it"),
}  # fmt: skip


def rules() -> dict[str, str]:
    return {rule: what for rule, (what, _) in _RULES.items()}


def version() -> str:
    try:
        return f"bandit {installed('bandit')}"
    except PackageNotFoundError:
        raise Missing("bandit is not installed; pip install 'mlx-hallmark[security]'") from None


def subjects(options: Mapping[str, Any], root: Path, look: Look) -> list[Path]:
    return reading.walk(root, options["paths"], options.get("exclude", ()), ENDINGS)


def scan(options: Mapping[str, Any], root: Path, files: Sequence[Path], look: Look) -> Scanned:
    from bandit.core.config import BanditConfig
    from bandit.core.manager import BanditManager

    version()
    manager = BanditManager(BanditConfig(), "file")
    lines, unread = _lines(files, root)
    manager.files_list = list(lines)
    manager.run_tests()
    unread += [(reading.shown(Path(name), root), str(why)) for name, why in manager.skipped]
    findings = [_finding(issue, root, lines[issue.fname]) for issue in manager.results]
    return Scanned(findings=findings, unread=unread, excused=_excused(manager))


def _lines(files: Sequence[Path], root: Path) -> tuple[dict[str, list[bytes]], list[tuple[str, str]]]:
    """The lines of each file that can be read, and why the others can't."""
    lines: dict[str, list[bytes]] = {}
    unread = []
    for path in files:
        try:
            lines[os.fspath(path)] = reading.read(path).splitlines()
        except reading.Unreadable as why:
            unread.append((reading.shown(path, root), str(why)))
    return lines, unread


def _finding(issue: Any, root: Path, lines: Sequence[bytes]) -> Finding:
    what, fix = _RULES.get(issue.test_id, (issue.text, "see what bandit says of it"))
    text = b"\n".join(lines[max(line - 1, 0)] for line in issue.linerange if line <= len(lines))
    make = identify_secret if issue.test_id in _OF_SECRETS else identify
    path = reading.shown(Path(issue.fname), root)
    return Finding(
        rule=issue.test_id,
        severity=_SEVERITIES.get(issue.severity, "low"),
        confidence=_CONFIDENCES.get(issue.confidence, "low"),
        path=path,
        line=max(issue.lineno, 0),
        what=what,
        fix=fix,
        id=make(issue.test_id, path, " ".join(text.decode("utf-8", "replace").split())),
    )


def _excused(manager: Any) -> int:
    """How many findings `# nosec` excuses."""
    totals = manager.metrics.data["_totals"]
    return int(totals.get("nosec", 0)) + int(totals.get("skipped_tests", 0))
