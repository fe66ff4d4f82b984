"""From a Spec to a Plan: the pattern expanded, every layer decided, every default filled, all errors at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Unpack

from .block import Declared, Param
from .chain import MixerPlan
from .drawing import groups, undrawn_hint, undrawn_message
from .errors import Path, Problem, SpecError, did_you_mean, dotted
from .heads import HeadOptions, head_plan
from .layering import Layers
from .overrides import Choice, Said, written
from .pattern import Pattern, Row, Word, hint_for_unknown
from .plan import EmbeddingPlan, HeadKind, HeadPlan, Plan, Sizes
from .plugins import Catalog
from .plugins import catalog as installed_catalog
from .selectors import Selected, Selectors, Unselected
from .source.invalid import shown
from .spec import INIT, BlockEntry, Branch, Draw, Override, Spec

MOST_SET = 200_000


def resolve(
    spec: Spec,
    catalog: Catalog | None = None,
    head: HeadKind = "causal-lm",
    **options: Unpack[HeadOptions],
) -> Plan:
    """Decide everything a spec leaves open; raises SpecError with every problem of the spec.

    `options` are numbers of the head: `num_labels`, `id2label`, `label2id`, `problem_type` and `pad_token_id`
    of sequence classification; the first three, `classifier_dropout` and `token_classification_bias` of token
    classification.  Raises CallError: E702 an unknown head, E720 an option it has not, E721 a wrong one.
    """
    return Resolver(spec, catalog or installed_catalog()).plan(head_plan(spec, head, options))


@dataclass
class Resolver(Layers):
    """One pass over one spec, collecting problems as it goes."""

    def plan(self, head: HeadPlan) -> Plan:
        """The whole plan, or every problem on the way to it."""
        spec = self.spec
        self.check_names()
        self.check_options()
        self.check_tokens()
        self.check_positions()
        rows = self.rows()
        choices = self.choices(rows)
        self.stop()
        layers = tuple(self.layer(index, row, choices[index]) for index, row in enumerate(rows))
        self.check_copies(layers, choices)
        self.stop()
        plan = Plan(
            name=spec.name,
            sizes=self.sizes,
            embedding=self.embedding,
            norm=spec.norm if spec.final_norm else None,
            layers=layers,
            head=head,
            layerdrop=spec.layerdrop,
            init={},
            spec=spec,
        )
        return replace(plan, init=self.draws(plan.parameters()))

    @property
    def sizes(self) -> Sizes:
        """The widths of the whole model."""
        spec = self.spec
        size = spec.embedding.size or spec.hidden_size
        return Sizes(spec.vocab_size, spec.hidden_size, spec.max_position_embeddings, size)

    @property
    def embedding(self) -> EmbeddingPlan:
        """How tokens become the stream."""
        given = self.spec.embedding
        offset = given.positions.offset if given.positions else None
        return EmbeddingPlan(given.scale, offset, given.padding, given.dropout)

    def draws(self, parameters: dict[str, Param]) -> dict[str, Draw]:
        """How each kind of tensor that there is gets drawn."""
        known, kinds = {**INIT, **self.spec.init}, {param.init for param in parameters.values()}
        there = {*INIT, *kinds, *self.kinds}
        for kind in self.spec.init:
            if kind not in there:
                known_ones = [*sorted(there), *self.groups] if "." in kind else sorted(there)
                hint = did_you_mean(kind, known_ones) or f"the kinds are {', '.join(known_ones)}"
                self.report("E332", f"no tensor is of the kind {kind!r}", ("init", kind), hint, key=True)
        if undrawn := sorted(kinds - set(known)):
            self.report_undrawn(undrawn, parameters)
        self.stop()
        return {kind: known[kind] for kind in sorted(kinds)}

    def report_undrawn(self, kinds: list[str], parameters: dict[str, Param]) -> None:
        """E335 once for all kinds, each with a parameter that needs it, at `init` or at the first such block."""
        inside = [
            (block, name, param.init) for block, each in self.declared for name, param in each.parameters()
        ]
        users = {param.init: name for name, param in reversed(parameters.items())}
        users |= {kind: f"{block}.{name}" for block, name, kind in reversed(inside)}
        path: Path = ("init",)
        if not self.origins.has(path):
            path = next((("blocks", block) for block, _, kind in inside if kind in kinds), path)
        self.report("E335", undrawn_message(kinds, users), path, undrawn_hint(kinds, path), key=True)

    @property
    def kinds(self) -> set[str]:
        """The kinds of tensors that the blocks of the spec have, whether they stand in a layer or not."""
        return {param.init for _, each in self.declared for _, param in each.parameters()}

    @property
    def groups(self) -> list[str]:
        """The groups of linears that can be drawn apart from others."""
        return list(dict.fromkeys(groups(self.declared)))

    @property
    def declared(self) -> list[tuple[str, Declared]]:
        """What the blocks of the spec declare, by name."""
        return [(name, found.declared) for (name, *_), found in self.settled.items() if found.declared]

    def check_options(self) -> None:
        """What is written about a block is held to its kind, whether the block stands in a layer or not."""
        for name, entry in self.spec.blocks.items():
            if entry.branches:
                self.check_adapters(name, entry, entry.branches)
            elif self.kind_of(name) in self.catalog:
                found = self.settle(name, self.final(name), self.site)
                self.add(*(problem for problem in found.problems if written(problem)))
                if found.block and found.declared:
                    self.adapters(name, [MixerPlan(name, name, found.block, self.site, found.declared)])

    def check_adapters(self, name: str, entry: BlockEntry, branches: tuple[Branch, ...]) -> None:
        """The adapters of a block with branches, as far as the blocks in these can be settled."""
        now, mixers = len(entry.reads or ("stream",)) * self.spec.hidden_size, list[MixerPlan]()
        for branch in branches:
            site = self.site.model_copy(update={"reads": now})
            now = now if branch.residual else self.spec.hidden_size
            site = site.model_copy(update={"writes": now})
            for mix in branch.mixes:
                if self.kind_of(mix) not in self.catalog:
                    return
                found = self.settle(mix, self.final(mix), site)
                if found.block is None or found.declared is None:
                    return
                mixers.append(MixerPlan(mix, mix, found.block, site, found.declared))
        self.adapters(name, mixers)

    def check_tokens(self) -> None:
        """Ids of special tokens are rows of the table."""
        rows = self.spec.vocab_size
        for key, value in self.spec.generation.items():
            ids = value if isinstance(value, list) else [value]
            for each in ids if key.endswith("_token_id") else ():
                if each is not None and not (type(each) is int and 0 <= each < rows):
                    message = f"expected a token id from 0 to {rows - 1}, found {shown(each)}"
                    self.report("E334", message, ("generation", key))
        padding = self.spec.embedding.padding
        if padding is not None and padding >= rows:
            message = f"expected a token id from 0 to {rows - 1}, found {padding}"
            self.report("E334", message, ("embedding", "padding"))

    def check_positions(self) -> None:
        """A table of positions has a length."""
        if self.spec.embedding.positions and self.spec.max_position_embeddings is None:
            hint = "say max_position_embeddings: the rows of the table without its offset"
            self.report(
                "E338", "learned positions have no longest sequence", ("embedding", "positions"), hint
            )

    # ---------------------------------------------------------------- words

    def rows(self) -> tuple[Row, ...]:
        """The words of every layer by track; none if the pattern does not say."""
        try:
            tracks = self.tracks
        except SpecError as error:
            self.add(*error.problems)
            return ()
        for track, pattern in tracks.patterns.items():
            self.check_words(track, pattern)
        try:
            typed = self.is_typed("pattern") or self.is_typed("layers")
            place = self.origins.place(("layers",))
            rows = tracks.expand(self.spec.layers, self.spec.remainder, place, typed)
        except SpecError as error:
            self.add(*error.problems)
            return ()
        self.check_mixer(rows)
        return rows if self.check_extent(rows) else ()

    def check_words(self, track: str, pattern: Pattern) -> None:
        """Every word of a track is a block of the spec, and one that is a whole layer stands in no track."""
        blocks, path = self.spec.blocks, dotted(self.tracks.paths[track])
        for word in pattern.words():
            if word.name not in blocks:
                hint = hint_for_unknown(word.name, blocks) or f"the blocks are {', '.join(blocks)}"
                place = pattern.place(word, name_only=True)
                self.add(Problem("E320", f"unknown block {word.name!r}", place, path, hint))
        for word in pattern.hosts() if len(self.spec.tracks) > 1 else ():
            if word.name in blocks and blocks[word.name].branches:
                message = (
                    f"{word.name!r} has branches of its own: it is a whole layer, and a track a part of one"
                )
                hint = "name its blocks in the branches of `layer`, or write a pattern without tracks"
                self.add(Problem("E346", message, pattern.place(word, name_only=True), path, hint))

    def choices(self, rows: tuple[Row, ...]) -> list[dict[str, Choice]]:
        """For every layer and every block name, which options differ there and who said so."""
        choices, total, selectors = [self.arguments(row) for row in rows], 0, Selectors(rows)
        for number, override in enumerate(self.spec.overrides):
            path: Path = ("overrides", number)
            found = list(self.overridden(override, path, rows, selectors))
            total += len(found) * len(override.set)
            if total > MOST_SET:
                message = f"the overrides set more than {MOST_SET:,} options in all layers"
                self.report("E325", message, path, "write blocks of other names into the pattern")
                break
            for index, name in found:
                choice = choices[index].setdefault(name, Choice())
                for key, value in override.set.items():
                    at = (*path, "set", key)
                    if clash := choice.override(key, Said(value, at)):
                        self.report("E326", f"layer {index}: {clash}", at, key=True)
        return choices

    def overridden(
        self, override: Override, path: Path, rows: tuple[Row, ...], selectors: Selectors
    ) -> Iterator[tuple[int, str]]:
        """The layers that an override is about, each with the block that it changes there."""
        block = override.block
        if block is not None and not self.known(block, (*path, "block"), *self.spec.tracks):
            return
        several = isinstance(override.at, tuple)
        for number, at in enumerate(override.at if isinstance(override.at, tuple) else (override.at,)):
            found = selectors.select(at) if rows else Selected(())
            if isinstance(found, Unselected):
                self.report(
                    "E325", found.message, (*path, "at", number) if several else (*path, "at"), found.hint
                )
                continue
            for index in found.layers:
                name = self.changed(block, found.word, rows[index], index, path)
                if name is None:
                    return
                yield index, name

    def changed(self, block: str | None, word: str | None, row: Row, index: int, path: Path) -> str | None:
        """The block of a layer that an override changes: the one that it names, or the layer's only word."""
        if block is not None:
            return row[block].name if block in row else block
        names = dict.fromkeys(each.name for each in row.values())
        if word is None and len(names) > 1:
            message = f"layer {index} has the words {', '.join(names)}, and nothing says which one is changed"
            self.report(
                "E347", message, (*path, "at"), f"write block: {next(iter(row))}, or the name of a block"
            )
            return None
        return word or next(iter(names))

    def arguments(self, row: Row) -> dict[str, Choice]:
        """What the pattern itself says about the blocks of a layer."""
        found: dict[str, Choice] = {}
        for track, host in row.items():
            for word in (host, *host.guests):
                said = {key: self.argument(track, word, key) for key in word.arguments}
                known = found.setdefault(word.name, Choice(said)).values
                if {key: each.value for key, each in known.items()} != word.arguments:
                    self.twice(track, word, f"{word.name!r} stands twice in a layer, with other arguments")
        return found

    def argument(self, track: str, word: Word, key: str) -> Said:
        """An argument of a word, with its place inside the pattern."""
        pattern = self.tracks.patterns[track]
        at = re.compile(rf"[(,]\s*({re.escape(key)})\s*=").search(pattern.text, word.start, word.end)
        place = pattern.locate(at.start(1), len(key)) if at else pattern.place(word)
        return Said(word.arguments[key], self.tracks.paths[track], place)
