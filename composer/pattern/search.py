"""The shortest pattern of given layers: the cheapest way through them, one term a step.

A step is one layer, or a repeat: a group that is itself the cheapest way through one of its copies.  Guests
that only the last layer of a repeat has ride on the repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from composer.pattern.form import riders, word
from composer.pattern.words import Group, Term, Word

# A cost is so many to a character and one to a term: of patterns of one length the one of fewest terms wins.
_CHARACTER = 2**14
_COMMA, _BRACKETS = 2 * _CHARACTER, 2 * _CHARACTER
_FAR = 2**62
MOST_SEARCHED = 256
_SIGN = [(1 + len(str(count))) * _CHARACTER for count in range(MOST_SEARCHED + 1)]


@dataclass(slots=True)
class _Step:
    """A term from one layer to behind another: `count` copies of `period` layers, and guests on the last."""

    cost: int
    period: int
    count: int
    guests: tuple[Word, ...] = ()


_NONE = _Step(_FAR, 0, 0)


class Search:
    """Cheapest steps and ways from every layer on, found from the last layer to the first."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = words
        self.hosts = [word(each) for each in words]
        self.keys = [host + riders(each.guests) for host, each in zip(self.hosts, words, strict=True)]
        self.equal = _equal(self.keys)
        self.steps: list[dict[int, _Step]] = [{} for _ in words]
        self.sorted: list[list[tuple[int, int]]] = [[] for _ in words]
        self.back: list[list[int]] = [[] for _ in words]
        for start in reversed(range(len(words))):
            self.go(start)

    def terms(self, start: int, end: int) -> tuple[Term, ...]:
        """The cheapest way through layers."""
        stops = [end]
        while stops[-1] != start:
            stops.append(self.back[start][stops[-1] - start])
        stops.reverse()
        return tuple(self.term(*each) for each in zip(stops, stops[1:], strict=False))

    def term(self, start: int, end: int) -> Term:
        """The cheapest step over layers as a term."""
        step, first = self.steps[start][end], self.words[start]
        if step.period == 1 and (step.count == 1 or not first.guests):
            return Term(replace(first, guests=()), step.count, step.guests)
        return Term(Group(self.terms(start, start + step.period)), step.count, step.guests)

    def go(self, start: int) -> None:
        """Every step from a layer, and the cheapest ways from it as far as somebody may ask for them."""
        reach = len(self.words) if start == 0 else self.longest_period(start)
        costs, back = [0] + [_FAR] * reach, [0] * (reach + 1)
        self.back[start] = back
        first = self.words[start]
        self.take(start, _Step(len(self.keys[start]) * _CHARACTER + 1, 1, 1, first.guests), costs)
        for length in range(1, reach + 1):
            if 2 * length <= len(self.words) - start:
                self.repeat(start, length, costs)
            for end, cost in self.sorted[start + length] if start + length < len(self.words) else ():
                if end - start > reach:
                    break
                if costs[length] + _COMMA + cost < costs[end - start]:
                    costs[end - start], back[end - start] = costs[length] + _COMMA + cost, start + length
        self.sorted[start] = sorted((end, step.cost) for end, step in self.steps[start].items())

    def take(self, start: int, step: _Step, costs: list[int]) -> None:
        """Remember a step if it is the cheapest so far over its layers."""
        length = step.period * step.count
        if step.cost < self.steps[start].get(start + length, _NONE).cost:
            self.steps[start][start + length] = step
        if length < len(costs) and step.cost < costs[length]:
            costs[length], self.back[start][length] = step.cost, start

    def repeat(self, start: int, period: int, costs: list[int]) -> None:
        """The steps that repeat the layers from `start` on, of which the cheapest way is known."""
        equal, steps = self.equal[period][start], self.steps[start]
        bare = period == 1 and not self.words[start].guests
        once = len(self.hosts[start]) * _CHARACTER + 1 if bare else costs[period] + _BRACKETS + 1
        whole = equal // period + 1
        for count in range(2, whole + 1):
            cost = once + _SIGN[count]
            if cost < steps.get(start + period * count, _NONE).cost:
                self.take(start, _Step(cost, period, count), costs)
        last = start + equal + period
        if (equal + 1) % period == 0 and last < len(self.words) and (more := self.more(last - period, last)):
            cost = once + _SIGN[whole + 1] + len(riders(more)) * _CHARACTER
            self.take(start, _Step(cost, period, whole + 1, more), costs)

    def more(self, one: int, other: int) -> tuple[Word, ...]:
        """The guests that a layer has on top of those of another one; none if they differ in more."""
        return self.words[other].guests[len(self.words[one].guests) :] if self.is_more(one, other) else ()

    def is_more(self, one: int, other: int) -> bool:
        """Whether a layer is another one with further guests."""
        return self.hosts[one] == self.hosts[other] and self.keys[other].startswith(self.keys[one] + "+")

    def longest_period(self, start: int) -> int:
        """The longest stretch from a layer on that comes again right behind it, further guests on its last."""
        most = (len(self.words) - start) // 2
        return next((p for p in range(most, 0, -1) if self.comes_again(start, p)), 0)

    def comes_again(self, start: int, period: int) -> bool:
        """Whether the stretch of so many layers from one on is followed by itself."""
        equal = self.equal[period][start]
        last = start + 2 * period - 1
        return equal >= period or (equal == period - 1 and self.is_more(last - period, last))


def _equal(keys: Sequence[str]) -> list[list[int]]:
    """For every distance and layer: how many layers from it on equal those at that distance behind them."""
    names = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    numbers = [names[key] for key in keys]
    table: list[list[int]] = [[]]
    for distance in range(1, len(keys)):
        row = [0] * (len(keys) + 1)
        for at in range(len(keys) - distance - 1, -1, -1):
            row[at] = row[at + 1] + 1 if numbers[at] == numbers[at + distance] else 0
        table.append(row)
    return table
