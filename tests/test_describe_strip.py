"""The picture of a model: a cell a layer, guests above, a legend; a file that any browser shows."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from composer.describe.strip import WIDTH, strip_svg

from .test_describe_page import riders, sharing

SVG = "{http://www.w3.org/2000/svg}"


def cells(svg: str) -> list[tuple[str, dict[str, str]]]:
    """Every cell of a strip: what it says, and where it stands."""
    rects = ElementTree.fromstring(svg).iter(f"{SVG}rect")
    return [(str(rect[0].text), rect.attrib) for rect in rects if len(rect)]


@pytest.mark.parametrize("count", [1, 3, 32, 81, 100, 250])
def test_a_strip_has_a_cell_for_each_layer(count: int) -> None:
    """In order, inside the picture, without overlap, on as many lines as it takes."""
    found = cells(strip_svg(riders(f"near×{count}")))
    places = [(float(at["y"]), float(at["x"]), float(at["width"])) for _, at in found]

    assert [f"layer {index}: near" for index in range(count)] == [told for told, _ in found]
    assert sorted(places) == places
    assert all(x >= 0 and width > 4 and x + width <= WIDTH for _, x, width in places)
    assert all(a[0] < b[0] or a[1] + a[2] < b[1] for a, b in zip(places, places[1:], strict=False))


def test_guests_stand_above_their_hosts() -> None:
    """At the same place, in another colour, and both are in the legend with how often they run."""
    svg = strip_svg(riders("near×6+rider, near×2, far"))
    found = dict(cells(svg))
    host, guest = found["layer 5: near"], found["layer 5: rider"]

    assert (host["x"], host["width"]) == (guest["x"], guest["width"])
    assert float(guest["y"]) + float(guest["height"]) <= float(host["y"])
    assert 3 == len({each["fill"] for each in found.values()})
    for line in (
        "near: attention, window 4 · 8 times",
        "far: attention · once",
        "rider: attention; mlp · once",
    ):
        assert line in svg


def test_layers_of_one_word_with_other_options_have_another_colour() -> None:
    """A word whose options differ at some layers is told apart."""
    found = dict(cells(strip_svg(riders("near, near(sliding_window=2)"))))

    assert found["layer 0: near"]["fill"] != found["layer 1: near"]["fill"]


def test_names_are_escaped() -> None:
    """A name that looks like markup stays text."""
    svg = strip_svg(riders("near", set=["name='<b>&'"]))

    assert "<b>" not in svg
    assert "<b>&: 1 layers" == ElementTree.fromstring(svg)[0].text


def test_copies_in_the_strip() -> None:
    """The copy stands in the cell of a guest, and the legend says how many there are."""
    svg = strip_svg(sharing())

    assert ["0", "1", "0"] == [
        str(t.text) for t in ElementTree.fromstring(svg).iter(f"{SVG}text") if t.get("class") == "in"
    ]
    assert "rider: attention; mlp, 2 copies in turn · 3 times" in svg
