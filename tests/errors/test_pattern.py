"""Every error of a layer pattern: code, words, place and hint."""

from __future__ import annotations

import pytest

from composer.errors import Place, Problem, SpecError
from composer.pattern import cycle, fill, parse, read_tracks
from composer.source import read_document

GROUP = "a '(' that touches a name opens arguments: key=value; for a group write ', ('"
BEHIND = "a repeat stands behind the name: mamba×6"
QUOTE = "quote a value that is neither a number nor a name"
VALUES = "a number, true, false, null, a name or a quoted string"
REPEAT_BOTH = "to repeat both, or a×rest+b to let it ride on the last"
LEAVE = "one part of a pattern takes what the others leave"
REPEAT = "x repeats what stands before it: a x6"

# code, text, column and width, message, hint
PATTERNS = [
    ("E201", "a→b", (2, 1), "unexpected character '→'", "names are letters a-z, digits, '_' and '-'"),
    ("E201", "mambá", (5, 1), "unexpected character 'á'", "names are letters a-z, digits, '_' and '-'"),
    ("E201", "a，b", (2, 1), "unexpected character '，'", "write ','"),
    ("E201", "a、b", (2, 1), "unexpected character '、'", "write ','"),
    ("E201", "a＋b", (2, 1), "unexpected character '＋'", "write '+'"),
    ("E201", "a＊2", (2, 1), "unexpected character '＊'", "write '*'"),
    ("E201", "a(k＝1)", (4, 1), "unexpected character '＝'", "write '='"),
    ("E201", "a×２", (3, 1), "unexpected character '２'", "write '2'"),
    ("E201", "ａ", (1, 1), "unexpected character 'ａ'", "write 'a'"),
    ("E201", "a ｘ2", (3, 1), "unexpected character 'ｘ'", "write 'x'"),
    ("E201", "a✕2", (2, 1), "unexpected character '✕'", "write '×'"),
    ("E201", "a х2", (3, 1), "unexpected character 'х'", "write '×'"),
    ("E201", "a·2", (2, 1), "unexpected character '·'", "write '*'"),
    ("E201", "a–b", (2, 1), "unexpected character '–'", "write '-'"),
    ("E201", "a(k=‘b')", (5, 1), "unexpected character '‘'", 'write "\'"'),
    ("E201", "a,\u00a0b", (3, 1), "unexpected character '\\xa0'", "write an ordinary space"),
    ("E201", 'a(k=“b")', (5, 1), "unexpected character '“'", "write '\"'"),
    ("E201", "a；b", (2, 1), "unexpected character '；'", "write ','"),
    ("E201", "a！", (2, 1), "unexpected character '！'", "names are letters a-z, digits, '_' and '-'"),
    ("E201", "“a", (1, 1), "unexpected character '“'", "only values of arguments are quoted: leave it out"),
    ("E202", "", (1, 1), "the pattern is empty", "write the name of a block"),
    ("E202", " \n", (1, 1), "the pattern is empty", "write the name of a block"),
    ("E202", "a b", (3, 1), "expected ',' or the end, found 'b'", ""),
    ("E202", "a x6b", (3, 3), "expected ',' or the end, found 'x6b'", ""),
    ("E202", "a)", (2, 1), "expected ',' or the end, found ')'", "no '(' is open"),
    ("E202", "a; b", (2, 1), "expected ',' or the end, found ';'", ""),
    ("E202", "a,,b", (3, 1), "expected the name of a block, found ','", "one ',' is enough"),
    ("E202", ",a", (1, 1), "expected the name of a block, found ','", "one ',' is enough"),
    ("E202", "a, # b", (4, 1), "expected the name of a block, found '#'", "a pattern has no comments"),
    ("E202", "6×a", (1, 1), "expected the name of a block, found '6'", BEHIND),
    ("E202", "*a", (1, 1), "expected the name of a block, found '*'", BEHIND),
    ("E202", "()", (2, 1), "expected the name of a block, found ')'", ""),
    ("E202", "a+", (3, 1), "expected the name of a block, found the end", ""),
    (
        "E202",
        "a+(b, c)",
        (3, 1),
        "expected the name of a guest, found '('",
        "a guest is one block: write a+b+c, not a+(b, c)",
    ),
    ("E202", "(a, b", (1, 1), "this '(' is never closed", "write ')'"),
    ("E202", "(a; b)", (3, 1), "expected ',' or ')', found ';'", ""),
    ("E202", "a (b)", (3, 1), "expected ',', found '('", "arguments touch the name: a(…)"),
    ("E202", "a×", (3, 1), "expected a whole number or 'rest', found the end", ""),
    ("E202", "a×b", (3, 1), "expected a whole number or 'rest', found 'b'", BEHIND),
    ("E202", "a×-1", (3, 1), "expected a whole number or 'rest', found '-'", ""),
    ("E202", "a×1.5", (4, 1), "expected ',' or the end, found '.'", ""),
    ("E202", "a×2×3", (4, 1), "expected ',' or '+', found '×'", "write (a×2)×…"),
    ("E202", "(a, b)×2 x3", (10, 2), "expected ',' or '+', found 'x3'", "write ((a, b)×2)×…"),
    ("E202", "a()", (3, 1), "expected key=value, found ')'", GROUP),
    ("E202", "a(b, c)", (3, 1), "expected key=value, found 'b'", GROUP),
    ("E202", "a(k=1,)", (7, 1), "expected key=value, found ')'", GROUP),
    ("E202", "a(k.j=1)", (3, 1), "expected key=value, found 'k'", GROUP),
    ("E202", "a(", (2, 1), "this '(' is never closed", "write ')'"),
    ("E202", "a(k=1", (2, 1), "this '(' is never closed", "write ')'"),
    ("E202", "a(k=)", (5, 1), "expected a value for 'k', found ')'", VALUES),
    ("E202", "a(k='b", (5, 1), "expected a value for 'k', found \"'\"", VALUES),
    ("E202", "a(k=[1])", (5, 1), "expected a value for 'k', found '['", VALUES),
    ("E202", "a(k=b c)", (7, 1), "expected ',' or ')', found 'c'", QUOTE),
    ("E202", "a(k=1:30)", (6, 1), "expected ',' or ')', found ':'", QUOTE),
    ("E203", "x", (1, 1), "'x' is reserved", REPEAT),
    ("E203", "a, x6", (4, 2), "'x6' is reserved", REPEAT),
    ("E203", "a+x6", (3, 2), "'x6' is reserved", REPEAT),
    ("E203", "rest", (1, 4), "'rest' is reserved", "it is a count: a×rest"),
    ("E204", "a×0", (3, 1), "a count is at least 1, found 0", ""),
    ("E204", "a×00", (3, 2), "a count is at least 1, found 00", ""),
    ("E204", "a x06", (4, 2), "a count does not start with 0, found 06", ""),
    (
        "E205",
        "a+b×3",
        (1, 5),
        "'a+b×3' is ambiguous",
        "write (a+b)×3 to repeat both, or a×3+b to let it ride on the last",
    ),
    (
        "E205",
        "c, (a, b) + g(k=1) x3",
        (4, 18),
        "'(a, b) + g(k=1) x3' is ambiguous",
        "write ((a, b) + g(k=1))×3 to repeat both, or (a, b)×3+g(k=1) to let it ride on the last",
    ),
    ("E205", "a×2+b*3", (1, 7), "'a×2+b*3' is ambiguous", "write (a×2+b)×3 to repeat both"),
    ("E205", "a+b+c×3", (1, 7), "'a+b+c×3' is ambiguous", "write (a+b+c)×3 to repeat both"),
    ("E206", "a×10001", (1, 7), "a pattern has at most 10,000 layers, found 10,001", ""),
    ("E206", "a, (b×999)×999", (4, 11), "a pattern has at most 10,000 layers, found 998,001", ""),
    ("E206", "a×9999, b, c", (1, 12), "a pattern has at most 10,000 layers, found 10,001", ""),
    ("E206", f"a×{'9' * 99}", (1, 101), "a pattern has at most 10,000 layers, found far more", ""),
    ("E207", "a" * 16_385, (1, 1), "the pattern is longer than 16,384 characters", ""),
    ("E207", "(" * 40, (33, 1), "nested more than 32 deep", ""),
    ("E208", "a(k=1, k=2)", (8, 1), "argument 'k' is given twice", ""),
    ("E208", "a(k=017)", (5, 3), "017 starts with 0", "write 17, or quote a string"),
    ("E208", "a(k=.inf)", (5, 4), ".inf is not a finite number", "an open bound is written null"),
    ("E208", "a(k=1e999)", (5, 5), "1e999 is too large for a number", "quote it if it is a string"),
    ("E208", "a(k=1.2.3)", (5, 5), "1.2.3 is not a number", "quote it if it is a string"),
    ("E208", "a(k=0x10)", (5, 4), "0x10 is not a number", "quote it if it is a string"),
    ("E205", "a+b×rest", (1, 8), "'a+b×rest' is ambiguous", f"write (a+b)×rest {REPEAT_BOTH}"),
    ("E212", "a×rest, b×rest", (11, 4), "'rest' stands twice", LEAVE),
    ("E212", "(a, b×rest)×rest", (13, 4), "'rest' stands twice", LEAVE),
    (
        "E212",
        "(a, b×rest)×2",
        (7, 4),
        "'rest' stands in a group that repeats",
        "write how often the group repeats",
    ),
]


@pytest.mark.parametrize(("code", "text", "where", "message", "hint"), PATTERNS)
def test_patterns(code: str, text: str, where: tuple[int, int], message: str, hint: str) -> None:
    """Each mistake has its code, a sentence, the exact stretch of the pattern and, where known, a hint."""
    with pytest.raises(SpecError) as caught:
        parse(text)
    problem = caught.value.problems[0]
    assert problem.place
    assert (code, message, hint) == (problem.code, problem.message, problem.hint)
    assert where == (problem.place.column, problem.place.width)
    assert all("E201" == other.code for other in caught.value.problems[:-1])


def test_all_at_once() -> None:
    """Wrong characters and wrong meanings are told together."""
    with pytest.raises(SpecError) as caught:
        parse("a，x, b×0, c+d×2, e(k=1, k=2), (f×9999)×9")
    codes = [problem.code for problem in caught.value.problems]
    assert ["E201", "E203", "E204", "E205", "E208", "E206"] == codes


def test_carets_follow_the_display_width() -> None:
    """Wide characters before and under the stretch take two columns."""
    with pytest.raises(SpecError) as caught:
        parse("mamba，mamba（a）")
    assert (
        "<pattern>:1:12: pattern: unexpected character '（' [E201]\n"
        "    1 | mamba，mamba（a）\n"
        "      |             ^^\n"
        "   hint: write '('"
    ) in str(caught.value)


LAYERS = [
    (
        "E209",
        62,
        "62 layers are 10 cycles of 6 and 2 more",
        "write layers: 60 or 66, or set remainder: truncate",
    ),
    (
        "E210",
        4,
        "the pattern has 6 layers, more than the 4 that 'layers' says",
        "shorten the pattern, or write layers: 6",
    ),
    ("E211", 0, "a model has between 1 and 10,000 layers, found 0", ""),
    ("E211", 10**12, "a model has between 1 and 10,000 layers, found 1,000,000,000,000", ""),
]


@pytest.mark.parametrize(("code", "layers", "message", "hint"), LAYERS)
def test_layers(code: str, layers: int, message: str, hint: str) -> None:
    """A number of layers that does not fit the pattern names every fix, at the place of `layers`."""
    place = Place("s.yaml", 2, 9, 2, "layers: 62")
    with pytest.raises(SpecError) as caught:
        cycle(parse("a×5, b").expand(), layers, place=place)
    assert (Problem(code, message, place, "layers", hint),) == caught.value.problems


def test_layers_of_a_typed_pattern() -> None:
    """Somebody who typed a pattern is told what to add to the command line, not to change a file."""
    hints = []
    for layers in (62, 4):
        with pytest.raises(SpecError) as caught:
            cycle(parse("a×5, b").expand(), layers, typed=True)
        hints.append(caught.value.problems[0].hint)

    assert [
        "write --set layers=60 or 66, or write --set remainder=truncate",
        "shorten the pattern, or write --set layers=6",
    ] == hints


def test_a_short_model_is_never_a_truncated_pattern() -> None:
    """`remainder: truncate` cuts the last cycle, never the first."""
    with pytest.raises(SpecError) as caught:
        cycle(parse("a×5, b").expand(), 4, "truncate")
    assert "E210" == caught.value.code


# pattern, layers, the stretch of the pattern that takes the rest, message, hint
REST = [
    (
        "a, b×rest",
        None,
        (4, 6),
        "'rest' is what `layers` leaves, and nothing says how many layers there are",
        "write layers: …",
    ),
    (
        "a, b, (c, d)×rest",
        3,
        (7, 11),
        "the other words have 2 of 3 layers, which leaves 'rest' too few",
        "write layers: 4 or more, or leave out what takes the rest",
    ),
    (
        "a, (b, c)×rest+g",
        8,
        (4, 13),
        "'rest' has 7 layers, which are no multiple of 2",
        "write layers: 7 or 9",
    ),
]


@pytest.mark.parametrize(("text", "layers", "where", "message", "hint"), REST)
def test_rest(text: str, layers: int | None, where: tuple[int, int], message: str, hint: str) -> None:
    """What takes the rest of the layers has some, and a whole number of repeats; the place is in the pattern."""
    with pytest.raises(SpecError) as caught:
        fill(parse(text), layers)
    (problem,) = caught.value.problems
    assert problem.place
    assert ("E213", message, hint) == (problem.code, problem.message, problem.hint)
    assert where == (problem.place.column, problem.place.width)


def test_tracks() -> None:
    """Every track tells what is wrong with it, with its own key and place."""
    written = "pattern:\n  mixer: a,,\n  ffn: b×0\n"
    document = read_document(written, "s.yaml")
    with pytest.raises(SpecError) as caught:
        read_tracks(document.data["pattern"], document)
    found = [(p.code, p.path, str(p.place)) for p in caught.value.problems]
    assert [("E202", "pattern.mixer", "s.yaml:2:12"), ("E204", "pattern.ffn", "s.yaml:3:10")] == found


def test_layers_of_tracks() -> None:
    """A track that does not fit the layers is named."""
    tracks, messages = read_tracks({"mixer": "a, b", "ffn": "c×3", "third": "d×rest, e×9"}), []
    for layers in (4, 2):
        with pytest.raises(SpecError) as caught:
            tracks.expand(layers)
        messages.append([f"{p.code} {p.message}" for p in caught.value.problems])
    rest = "E213 the other words have 9 of {} layers, which leaves 'rest' too few"
    assert [
        ["E209 4 layers are 1 cycles of track 'ffn' and 1 more", rest.format(4)],
        ["E210 track 'ffn' has 3 layers, more than the 2 that 'layers' says", rest.format(2)],
    ] == messages
