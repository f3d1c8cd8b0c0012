"""The `hallmark` command. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from harness import __version__
from harness.verbs import about, golden, history, models, planning, proof, running, runs, starting
from harness.verbs.given import USAGE, Mistake


def main(argv: Sequence[str] | None = None) -> int:
    from harness.rooms import NoSuchRoom
    from harness.spec.faults import SpecFaults, visible

    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words[:1] == ["run"] and not {"-h", "--help"} & set(words):
            return running.run(words[1:])
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

    for module in (running, planning, runs, history, proof, golden, starting, models, about):
        module.offer(verb)
    return parser


if __name__ == "__main__":
    sys.exit(main())
