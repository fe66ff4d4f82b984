"""From a Spec to a Plan: the pattern expanded, every layer decided, every default filled, all errors at once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import get_args

from .block import Norm, Site
from .entries import Entries
from .errors import CallError, Path, Problem, SpecError, did_you_mean, fail
from .overrides import Choice, OptionOrigins, Said, Settled, indices_of, settle, told, written
from .pattern import Pattern, Word, cycle, hint_for_unknown, read_pattern
from .plan import BranchPlan, Chain, HeadKind, HeadPlan, LayerPlan, MixerPlan, Plan, Sizes
from .plugins import Catalog
from .plugins import catalog as installed_catalog
from .source.invalid import shown
from .spec import INIT, Branch, Draw, Spec

MOST_SET = 200_000


def resolve(spec: Spec, catalog: Catalog | None = None, head: HeadKind = "causal-lm") -> Plan:
    """Decide everything a spec leaves open; raises SpecError with every problem of the spec."""
    if head not in get_args(HeadKind):
        fail(
            CallError,
            "E702",
            f"no head is called {head!r}",
            hint=did_you_mean(head, get_args(HeadKind)) or f"one of: {', '.join(get_args(HeadKind))}",
        )
    return Resolver(spec, catalog or installed_catalog()).plan(head)


@dataclass
class Resolver(Entries):
    """One pass over one spec, collecting problems as it goes."""

    settled: dict[tuple[str, str], Settled] = field(default_factory=dict)

    def plan(self, head: HeadKind) -> Plan:
        """The whole plan, or every problem on the way to it."""
        spec = self.spec
        self.check_names()
        self.check_options()
        self.check_tokens()
        words = self.words()
        choices = self.choices(words)
        self.stop()
        layers = tuple(self.layer(index, word, choices[index]) for index, word in enumerate(words))
        self.stop()
        plan = Plan(
            name=spec.name,
            sizes=Sizes(spec.vocab_size, spec.hidden_size, spec.max_position_embeddings),
            norm=spec.norm,
            layers=layers,
            head=HeadPlan(head, spec.head.tied, spec.head.bias),
            init={},
            spec=spec,
        )
        return replace(plan, init=self.draws({param.init for param in plan.parameters().values()}))

    def draws(self, kinds: set[str]) -> dict[str, Draw]:
        """How each kind of tensor that there is gets drawn."""
        known = {**INIT, **self.spec.init}
        for kind in self.spec.init:
            if kind not in {*INIT, *kinds}:
                hint = (
                    did_you_mean(kind, {*INIT, *kinds})
                    or f"the kinds are {', '.join(sorted({*INIT, *kinds}))}"
                )
                self.report("E332", f"no tensor is of the kind {kind!r}", ("init", kind), hint, key=True)
        for kind in kinds - set(known):
            self.report(
                "E335",
                f"nothing says how tensors of the kind {kind!r} are drawn",
                ("init",),
                f"add {kind} to init",
            )
        self.stop()
        return {kind: known[kind] for kind in sorted(kinds)}

    def check_options(self) -> None:
        """What is written about a block is held to its kind, whether the block stands in a layer or not."""
        for name, entry in self.spec.blocks.items():
            if entry.branches is None and self.kind_of(name) in self.catalog:
                found = self.settle(name, self.final(name))
                self.add(*(problem for problem in found.problems if written(problem)))

    def check_tokens(self) -> None:
        """Ids of special tokens are rows of the table."""
        rows = self.spec.vocab_size
        for key, value in self.spec.generation.items():
            ids = value if isinstance(value, list) else [value]
            for each in ids if key.endswith("_token_id") else ():
                if each is not None and not (type(each) is int and 0 <= each < rows):
                    message = f"expected a token id from 0 to {rows - 1}, found {shown(each)}"
                    self.report("E334", message, ("generation", key))

    # ---------------------------------------------------------------- words

    def words(self) -> tuple[Word, ...]:
        """The word of every layer; none if the pattern does not say."""
        try:
            pattern = self.pattern
        except SpecError as error:
            self.add(*error.problems)
            return ()
        self.check_words(pattern)
        self.check_mixer(pattern.expand())
        place = self.origins.place(("layers",))
        try:
            typed = self.is_typed("pattern") or self.is_typed("layers")
            words = cycle(pattern.expand(), self.spec.layers, self.spec.remainder, place, typed)
        except SpecError as error:
            self.add(*error.problems)
            return ()
        return words if self.check_extent(words) else ()

    def check_words(self, pattern: Pattern) -> None:
        """Every word of the pattern is a block of the spec."""
        blocks = self.spec.blocks
        for word in pattern.words():
            if word.name not in blocks:
                hint = hint_for_unknown(word.name, blocks) or f"the blocks are {', '.join(blocks)}"
                place = pattern.place(word, name_only=True)
                self.add(Problem("E320", f"unknown block {word.name!r}", place, "pattern", hint))

    @cached_property
    def pattern(self) -> Pattern:
        """The pattern, parsed."""
        written = self.spec.pattern
        return read_pattern(written if isinstance(written, str) else list(written), self.origins)

    def choices(self, words: tuple[Word, ...]) -> list[dict[str, Choice]]:
        """For every layer and every block name, which options differ there and who said so."""
        choices, total = [self.arguments(word) for word in words], 0
        for number, override in enumerate(self.spec.overrides):
            path: Path = ("overrides", number)
            found = indices_of(override.at, len(words)) if words else []
            if isinstance(found, str):
                self.report("E325", found, (*path, "at"), 'write an index (0, -1) or a range ("8..15")')
                continue
            if override.block is not None and override.block not in self.spec.blocks:
                self.report(
                    "E321",
                    f"no block is called {override.block!r}",
                    (*path, "block"),
                    did_you_mean(override.block, self.spec.blocks),
                )
                continue
            total += len(found) * len(override.set)
            if total > MOST_SET:
                message = f"the overrides set more than {MOST_SET:,} options in all layers"
                self.report("E325", message, path, "write blocks of other names into the pattern")
                break
            for index in found:
                name = override.block or words[index].name
                choice = choices[index].setdefault(name, Choice())
                for key, value in override.set.items():
                    at = (*path, "set", key)
                    if clash := choice.override(key, Said(value, at)):
                        self.report("E326", f"layer {index}: {clash}", at, key=True)
        return choices

    def arguments(self, word: Word) -> dict[str, Choice]:
        """What the pattern itself says about the blocks of a layer."""
        return {
            each.name: Choice({key: self.argument(each, key) for key in each.arguments})
            for each in (word, *word.guests)
        }

    def argument(self, word: Word, key: str) -> Said:
        """An argument of a word, with its place inside the pattern."""
        pattern = self.pattern
        at = re.compile(rf"[(,]\s*({re.escape(key)})\s*=").search(pattern.text, word.start, word.end)
        place = pattern.locate(at.start(1), len(key)) if at else pattern.place(word)
        return Said(word.arguments[key], ("pattern",), place)

    # ---------------------------------------------------------------- layers

    def layer(self, index: int, word: Word, choices: dict[str, Choice]) -> LayerPlan:
        """One layer, with its guests; nothing is said of a block that it does not have."""
        guests = {guest.name: self.guest(guest, choices) for guest in word.guests}
        layer = LayerPlan(index, word.name, self.host(word, choices), guests)
        self.check_guests(word, layer)
        here = dict.fromkeys(mixer.word for _, mixer in layer.mixers())
        for name in choices if not self.problems else ():
            for key, said in choices[name].values.items() if name not in here else ():
                hint = f"its blocks are {', '.join(here)}"
                if said.place:
                    problem = f"block {name!r} has branches and takes no argument {key!r}"
                    self.add(Problem("E331", problem, said.place, "pattern", hint))
                else:
                    self.report(
                        "E333", f"layer {index} has no block {name!r} with options", said.path[:2], hint
                    )
        return layer

    def check_guests(self, word: Word, layer: LayerPlan) -> None:
        """A guest has a name of its own beside the blocks of its host and the other guests."""
        seen = {mixer.path for mixer in layer.host.mixers}
        for guest in word.guests:
            if guest.name in seen:
                hint = "to use it again, give it a second name: extends"
                place, message = self.pattern.place(guest), f"{guest.name!r} stands twice in a layer"
                self.add(Problem("E330", message, place, "pattern", hint))
            seen.add(guest.name)

    def host(self, word: Word, choices: dict[str, Choice]) -> Chain:
        """The word's own branches, or the spec's with the word where `mixer` stands."""
        own = self.spec.blocks[word.name].branches
        branches = own or self.spec.layer or (Branch(mix="mixer", norm=self.spec.norm),)
        path: Path = ("blocks", word.name, "branches") if own else ("layer",)
        return self.chain(branches, path, word, choices)

    def guest(self, word: Word, choices: dict[str, Choice]) -> Chain:
        """A guest reads the stream and returns, without a residual, what joins the host's input."""
        own = self.spec.blocks[word.name].branches
        branches = own or (Branch(mix="mixer", norm=self.spec.norm, residual=0.0),)
        return self.chain(branches, ("blocks", word.name, "branches"), word, choices)

    def chain(
        self, branches: tuple[Branch, ...], path: Path, word: Word, choices: dict[str, Choice]
    ) -> Chain:
        """Branches over the stream."""
        plans = tuple(self.branch(b, (*path, number), word, choices) for number, b in enumerate(branches))
        return Chain(self.spec.hidden_size, plans)

    def branch(self, branch: Branch, path: Path, word: Word, choices: dict[str, Choice]) -> BranchPlan:
        """One residual branch."""
        mixers = tuple(self.mixer(mix, word.name if mix == "mixer" else mix, choices) for mix in branch.mixes)
        return BranchPlan(
            tuple(mixer for mixer in mixers if mixer),
            norm=self.norm(branch.norm, (*path, "norm")),
            post=self.norm(branch.post, (*path, "post")),
            after=self.norm(branch.after, (*path, "after")),
            scale=branch.scale,
            residual=branch.residual,
        )

    def norm(self, norm: str | Norm | None, path: Path) -> Norm | None:
        """A norm that was named by its kind takes its numbers from the model's."""
        if not isinstance(norm, str):
            return norm
        if norm != self.spec.norm.kind:
            self.report(
                "E327",
                f"a {norm!r} norm has no numbers here, the model's norm is {self.spec.norm.kind!r}",
                path,
                f"write {{kind: {norm}, eps: ...}}",
            )
        return self.spec.norm

    def mixer(self, path: str, name: str, choices: dict[str, Choice]) -> MixerPlan | None:
        """A block with its options settled at its place."""
        said = {**choices.get(name, Choice()).values, **self.final(name)}
        settled = self.settle(name, said)
        self.add(*settled.problems)
        if settled.block is None or settled.declared is None:
            return None
        return MixerPlan(path, name, settled.block, self.site, settled.declared)

    def final(self, name: str) -> dict[str, Said]:
        """What has the last word on the options of a block."""
        return {
            key: Said(value, ("final", name, key)) for key, value in self.spec.final.get(name, {}).items()
        }

    @property
    def site(self) -> Site:
        """Where every block of the stream stands."""
        width = self.spec.hidden_size
        return Site(reads=width, writes=width, max_position_embeddings=self.spec.max_position_embeddings)

    def settle(self, name: str, said: dict[str, Said]) -> Settled:
        """The block's entry with what is said of it at a layer, decided once for equal layers."""
        key = (name, repr(said))
        if key not in self.settled:
            entry, options = self.spec.blocks[name], self.options(name)
            kind = self.catalog[options.pop("kind")]
            origins = OptionOrigins(self.origins, ("blocks", name), said, tuple(self.lineage(name)))
            found = settle(kind, options, self.site, origins)
            if found.problems:
                own, known = said or entry.options, self.known_of(name, bool(said))
                found = Settled(problems=tuple(told(found.problems, known.problems, own, origins)))
            self.settled[key] = found
        return self.settled[key]

    def known_of(self, name: str, special: bool) -> Settled:
        """What is known of a block before anything special is said of it, or of the block that it extends."""
        base = name if special else self.spec.blocks[name].extends
        if base is None or self.kind_of(base) not in self.catalog:
            return Settled()
        return self.settle(base, {} if special else self.final(base))
