"""Licences as packages name them in words, and as SPDX does."""

from __future__ import annotations

import re

_NAMES = {
    "0BSD": ("0bsd",),
    "AGPL-3.0-only": ("agplv3", "gnu affero general public license v3"),
    "AGPL-3.0-or-later": ("gnu affero general public license v3 or later (agplv3+)", "agplv3+"),
    "Apache-2.0": (
        "apache", "apache 2", "apache 2.0", "apache license", "apache license 2.0", "apache license version 2.0",
        "apache license, version 2.0", "apache software license", "apache software license 2.0", "apache 2.0 license",
        "apache-2", "apache v2", "apache license v2.0", "asl 2.0", "license :: osi approved :: apache software license",
    ),
    "BSD-2-Clause": ("bsd 2-clause", "2-clause bsd", "bsd 2-clause license", "simplified bsd", "bsd-2", "bsd2"),
    "BSD-3-Clause": (
        "3-clause bsd", "bsd 3-clause", "bsd 3-clause license", "3-clause bsd license", "new bsd", "new bsd license",
        "modified bsd", "modified bsd license", "bsd-3", "bsd3", "bsd 3 clause", "bsd-3-clause license",
    ),
    "BSL-1.0": ("boost software license 1.0 (bsl-1.0)", "boost software license"),
    "CC0-1.0": ("cc0", "cc0 1.0 universal (cc0 1.0) public domain dedication", "cc0 1.0"),
    "EPL-2.0": ("eclipse public license 2.0 (epl-2.0)",),
    "GPL-2.0-only": ("gpl v2", "gplv2", "gnu general public license v2 (gplv2)"),
    "GPL-2.0-or-later": ("gplv2+", "gnu general public license v2 or later (gplv2+)"),
    "GPL-3.0-only": ("gpl v3", "gplv3", "gnu general public license v3 (gplv3)", "gpl-3"),
    "GPL-3.0-or-later": ("gplv3+", "gnu general public license v3 or later (gplv3+)"),
    "HPND": ("historical permission notice and disclaimer (hpnd)", "hpnd"),
    "ISC": ("isc", "isc license", "isc license (iscl)"),
    "LGPL-2.0-or-later": ("gnu lesser general public license v2 or later (lgplv2+)", "lgplv2+"),
    "LGPL-3.0-only": ("lgplv3", "gnu lesser general public license v3 (lgplv3)"),
    "LGPL-3.0-or-later": ("lgplv3+", "gnu lesser general public license v3 or later (lgplv3+)"),
    "MIT": ("mit", "mit license", "the mit license", "the mit license (mit)", "mit licence", "expat", "expat license"),
    "MIT-0": ("mit no attribution license (mit-0)",),
    "MPL-2.0": ("mpl 2.0", "mozilla public license 2.0 (mpl 2.0)", "mozilla public license 2.0", "mpl2", "mplv2.0"),
    "PSF-2.0": ("psf", "psfl", "psf license", "python software foundation license", "psf-2.0"),
    "Unlicense": ("the unlicense (unlicense)", "unlicense", "the unlicense"),
    "ZPL-2.1": ("zope public license", "zpl 2.1", "zpl-2.1"),
    "Zlib": ("zlib/libpng license", "zlib"),
}  # fmt: skip
_BY_NAME = {name: id for id, names in _NAMES.items() for name in names}
_IDS = {
    id.lower(): id
    for id in (
        *_NAMES, "AFL-3.0", "Apache-1.1", "Artistic-2.0", "BlueOak-1.0.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CDDL-1.0",
        "CNRI-Python", "EUPL-1.2", "GPL-2.0", "GPL-3.0", "LGPL-2.1", "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0",
        "MIT-CMU", "MPL-1.1", "NCSA", "OFL-1.1", "Python-2.0", "UPL-1.0", "W3C", "WTFPL", "X11",
    )
}  # fmt: skip
_TEXTS = {
    "AGPL-3.0-only": r"gnu affero general public license version 3",
    "LGPL-3.0-only": r"gnu lesser general public license version 3",
    "LGPL-2.1-only": r"gnu lesser general public license version 2\.1",
    "GPL-3.0-only": r"gnu general public license version 3",
    "GPL-2.0-only": r"gnu general public license version 2",
    "Apache-2.0": r"apache license,? version 2\.0",
    "MPL-2.0": r"mozilla public license,? version 2\.0",
    "PSF-2.0": r"python software foundation license version 2",
    "BSD-3-Clause": r"redistribution and use in source and binary forms.*(neither the names? of|be used to endorse)",
    "BSD-2-Clause": r"redistribution and use in source and binary forms",
    "MIT": r"permission is hereby granted, free of charge, to any person obtaining a copy of this software",
    "ISC": r"permission to use, copy, modify,? and(/or)? distribute this software for any purpose with or without fee",
    "Unlicense": r"this is free and unencumbered software released into the public domain",
}
_LONG = 100_000


def named(words: str) -> str:
    """The SPDX id of a licence that is named in words; empty where nobody here knows it."""
    plain = " ".join(words.lower().split()).rstrip(".")
    return _IDS.get(plain) or _BY_NAME.get(plain, "")


def classified(classifier: str) -> str:
    """The same of a trove classifier; empty where it leaves open which licence of a family is meant."""
    return named(classifier.rpartition("::")[2])


def recognised(text: str) -> str:
    """The SPDX id of the licence whose text this is; empty where it is none that is known, or where it is several."""
    plain = " ".join(text[:_LONG].lower().split())
    found = [id for id, pattern in _TEXTS.items() if re.search(pattern, plain)]
    if "BSD-3-Clause" in found:  # has all the words of the other
        found.remove("BSD-2-Clause")
    return found[0] if len(found) == 1 else ""
