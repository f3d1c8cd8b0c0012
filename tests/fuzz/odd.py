"""What is odd to write in a spec, or as an answer to a question that nobody asked."""

from __future__ import annotations

from tests.fuzz.tree import Raw, grown


def rows(text: str) -> tuple[str, ...]:
    return tuple(word for row in text.strip("\n").split("\n") for word in row.split(" ¦ "))


_NUMBERS = rows(
    """
0 ¦ -1 ¦ -0 ¦ -0.0 ¦ 0.5 ¦ 2 ¦ 100000 ¦ 9223372036854775807 ¦ 9223372036854775808 ¦ -9223372036854775809
1.0e+308 ¦ 1.0e+309 ¦ 1.0e-400 ¦ .inf ¦ -.inf ¦ .nan ¦ .NaN ¦ ".nan" ¦ "inf" ¦ "1e999" ¦ 4294967296
0.9999999999999999 ¦ 1.0000000000000002 ¦ 99999999999.5 ¦ 1.0e-300 ¦ 5.0e-324 ¦ 1.7976931348623157e+308
1000000000 ¦ 10000000 ¦ 100000 ¦ 86400 ¦ 4096 ¦ 1.0e-17 ¦ 0.5000000000000001 ¦ 0.999999999 ¦ 0.000001 ¦ 1000000
65536 ¦ 59 ¦ 0.99 ¦ 0.01 ¦ 1024
"""
)
_SURPRISES = rows(
    """
no ¦ yes ¦ Off ¦ ON ¦ y ¦ n ¦ 1:30 ¦ 1:30:00 ¦ 0123 ¦ 08 ¦ 0o17 ¦ 0x1F ¦ 0b11 ¦ 1e3 ¦ 1E5 ¦ 1_000 ¦ 2026-01-31
2026-01-31 10:00:00 ¦ 2001-12-14t21:59:43.10-05:00 ¦ .5 ¦ 5. ¦ +1 ¦ ~ ¦ = ¦ << ¦ null ¦ Null ¦ !!int '3'
!!int foo ¦ !!bool foo ¦ !!timestamp foo ¦ !!float x ¦ !!binary aGk= ¦ !!set {a, b} ¦ !!null ''
!!python/object/apply:os.system ['true'] ¦ !!python/name:os.system '' ¦ !foo x ¦ !<tag:x> y ¦ !!str 3 ¦ !!map {}
!!omap [a: 1] ¦ !!merge x ¦ !!value = ¦ !!yaml x ¦ !!seq [] ¦ *nowhere ¦ &a x ¦ &a [*a] ¦ &a {b: *a}
[&a x, *a] ¦ {<<: {a: 1}} ¦ {<<: *nowhere} ¦ [&x [1], *x, *x] ¦ {? a : b} ¦ {? [a] : b} ¦ {[a]: b} ¦ {{a: b}: c}
{&k a: *k} ¦ {*nowhere : a} ¦ [a: 1] ¦ {a, b} ¦ {a: } ¦ | ¦ >- ¦ @x ¦ `x ¦ %x ¦ - x ¦ ? x ¦ : x ¦ x: y ¦ x # y
' ¦ " ¦ 'it''s' ¦ "\\x41" ¦ "\\q" ¦ "a\\ ¦ [ ¦ { ¦ ] ¦ } ¦ [1 ¦ {a: 1 ¦ [1,,2] ¦ [,] ¦ {,} ¦ --- x ¦ ... ¦ '\\0'
"\\0" ¦ "\\ud800" ¦ "\\udfff x" ¦ "\\U00110000" ¦ "\\e[31mred" ¦ "\\u202e" ¦ "\\uFEFF" ¦ "\\u2028" ¦ "\\n"
"\\r\\n" ¦ "\\t" ¦ a\x09b ¦ \x09 ¦ é ¦ \u6f22\u5b57 ¦ \U0001f600 ¦ \ufeff ¦ x\ufeff ¦ \u2028 ¦ \x85 ¦ \u202etxt
\x00 ¦ \x1b[31m ¦ \x7f ¦ \ufffe ¦ \xa0
"""
)
_TEXTS = rows(
    """
${env:HT_NOWHERE} ¦ ${env:HT_NOWHERE:-x} ¦ ${env:HT_NOWHERE:-no} ¦ ${env:HT_NOWHERE:-.nan} ¦ ${env:} ¦ ${env::-}
${env:HOME} ¦ ${matrix.nothing} ¦ ${matrix.} ¦ ${ ¦ $ ¦ $$ ¦ $$$ ¦ ${} ¦ ${x} ¦ a${env:HT_NOWHERE:-1}b ¦ (a+)+$
[ ¦ ( ¦ * ¦ (?<=x)y ¦ \\1 ¦ (?P<n>x)(?P=n) ¦ a{1000}{1000} ¦ {{ x }} ¦ {% for i in range(10**9) %}x{% endfor %}
{{ ''.__class__ }} ¦ {% ¦ {input} ¦ {} ¦ {0} ¦ {a.b} ¦ .. ¦ /etc/passwd ¦ ../../../../../x ¦ data/pipe
data/zero ¦ data/out.jsonl ¦ data/gone.jsonl ¦ data/self ¦ data/folder ¦ data ¦ data/
./data/../data/cases.jsonl ¦ data//cases.jsonl ¦ data/cases.jsonl/x ¦ . ¦ ~ ¦ data/_circle.yaml
data/_fault.yaml ¦ data/cases.csv ¦ data/cases.yaml ¦ a\x00b ¦ a::b ¦ x[0] ¦ @certified ¦ @latest ¦ m@certified
m@ ¦ @ ¦ m@../x ¦ m@/etc ¦ a b ¦ - ¦ --help ¦ * ¦ m* ¦ 1s ¦ 0s ¦ -1s ¦ 99999999999d ¦ 1e9s
999999999999999999999999999999d ¦ 5m5 ¦ 90d ¦ 2026-02-31 ¦ 0000-00-00 ¦ 9999-12-31 ¦ ١٢ ¦ 2² ¦ ٣d ¦ \ufb01 ¦ K
http:// ¦ http://[ ¦ http://[::1 ¦ http://x:99999999/ ¦ ftp://x ¦ http://user:pass@x/ ¦ //x ¦ http://℀.com ¦ a:b
a.b:c ¦ a.b:c. ¦ os:system ¦ . ¦ : ¦ python -c 1
"""
)

NUMBERS = (*_NUMBERS, "9" * 400, "1" + "0" * 5000, "0." + "0" * 400 + "1")
SURPRISES = (*_SURPRISES, "a  ")
TEXTS = (
    *_TEXTS,
    "",
    "x" * 300,
    "x" * 3000,
    "(" * 500 + ")" * 500,
    "/".join("x" * 3000),
    "aeiou" * 60,
    "a\n::error::b",
    "\n",
)
KEYS = (
    *rows("zzz ¦ nam ¦ mdoel ¦ x.y ¦ a b ¦ é ¦ Kind ¦ hallmark ¦ name ¦ cases ¦ kind ¦ $ref ¦ matrix ¦ include"),
    "",
)
ODD_KEYS = (
    *rows(
        "no ¦ 1 ¦ 1:30 ¦ null ¦ true ¦ << ¦ 2026-01-31 ¦ ? x ¦ ~ ¦ [a] ¦ {a: b} ¦ *nowhere ¦ &a b ¦ !!int 3 ¦ - ¦ -x"
    ),
    "x\ty",
    "",
)
MARKS = (*rows("--- ¦ ... ¦ %YAML 1.2 ¦ %TAG ! x ¦ %FOO ¦ # x ¦ - x ¦ x ¦ ? x ¦ : x ¦ <<: {a: 1} ¦ x: &y [*y]"), "")
DEEP = (5, 40, 63, 64, 65, 70, 300, 3000)
OTHER = tuple(
    grown(value)
    for value in (
        *(None, True, False, 0, 1, 7, -1, 1.5, -0.0, 10**6, "", " ", "text", "é", "a b"),
        *([], [1], ["x"], [[]], [None], [{}], {}, {"a": 1}, {"": {}}),
    )
)
SHAPES = tuple(
    grown(value)
    for value in (
        *({"$ref": "#"}, {"$ref": "#/nowhere"}, {"$ref": "file:///etc/passwd"}, {"type": 3}, {"pattern": "(a+)+\\1"}),
        *({"allOf": []}, {"enum": {}}, {"minLength": -1, "$id": "x"}, {"abs": -1}, {"close": {"abs": Raw(".nan")}}),
        *({"regex": "("}, {"jsonschema": True}, {"p50": 0, "max": 0}, {"min": 1, "max": 0}, {"messages": "x"}),
        *({"messages": [1]}, {"tokens": ["x"]}, {"prompt": None}, {"close": {"rel": 10**300}}, {"regex": "x" * 3000}),
    )
)
