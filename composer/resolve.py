"""From a Spec to a Plan: the pattern expanded, every layer decided, every default filled, all errors at once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args

from .block import Norm, Site
from .errors import CallError, Path, Problem, SpecError, did_you_mean, dotted, fail
from .origins import Origins, merge
from .overrides import Choice, OptionOrigins, Said, Settled, indices_of, settle, told_before
from .pattern import Pattern, Word, cycle, hint_for_unknown, read_pattern
from .plan import BranchPlan, Chain, HeadKind, HeadPlan, LayerPlan, MixerPlan, Plan, Sizes
from .plugins import Catalog
from .plugins import catalog as installed_catalog
from .spec import INIT, BlockEntry, Branch, Spec


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
class Resolver:
    """One pass over one spec, collecting problems as it goes."""

    spec: Spec
    catalog: Catalog
    problems: list[Problem] = field(default_factory=list)
    settled: dict[tuple[str, str], Settled] = field(default_factory=dict)

    @property
    def origins(self) -> Origins:
        """Where things were written."""
        return self.spec.origins

    def plan(self, head: HeadKind) -> Plan:
        """The whole plan, or every problem on the way to it."""
        spec = self.spec
        self.check_names()
        words = self.words()
        self.stop()
        choices = self.choices(words)
        self.stop()
        layers = tuple(self.layer(index, word, choices[index]) for index, word in enumerate(words))
        self.stop()
        return Plan(
            name=spec.name,
            sizes=Sizes(spec.vocab_size, spec.hidden_size, spec.max_position_embeddings),
            norm=spec.norm,
            layers=layers,
            head=HeadPlan(head, spec.head.tied, spec.head.bias),
            init={**INIT, **spec.init},
            spec=spec,
        )

    def stop(self) -> None:
        """Raise what has been collected."""
        if self.problems:
            raise SpecError(*dict.fromkeys(self.problems))

    def report(self, code: str, message: str, path: Path, hint: str = "", key: bool = False) -> None:
        """Collect one problem at a key path."""
        self.problems.append(Problem(code, message, self.origins.place(path, key), dotted(path), hint))

    # ---------------------------------------------------------------- names and words

    def check_names(self) -> None:
        """Every name that a spec mentions outside the pattern is a block of it."""
        for name in self.spec.final:
            self.known(name, ("final", name), key=True)
        for name, entry in self.spec.blocks.items():
            self.check_entry(name, entry)
        for number, branch in enumerate(self.spec.layer or ()):
            self.check_branch(branch, ("layer", number), "mixer")

    def known(self, name: str, path: Path, *also: str, key: bool = False) -> bool:
        """Whether the spec has a block of that name; reports it otherwise."""
        names = [*self.spec.blocks, *also]
        if name not in names:
            self.report("E321", f"no block is called {name!r}", path, did_you_mean(name, names), key)
        return name in names

    def check_branch(self, branch: Branch, path: Path, *also: str) -> None:
        """A branch names blocks, each once, and none of them is a composite."""
        for mix in branch.mixes:
            if self.known(mix, (*path, "mix"), *also) and mix != "mixer" and self.spec.blocks[mix].branches:
                self.report(
                    "E329",
                    f"{mix!r} has branches of its own and cannot be a branch",
                    (*path, "mix"),
                    "name it in the pattern",
                )
        if len(set(branch.mixes)) < len(branch.mixes) or not branch.mixes:
            self.report("E330", "a branch names each of its mixers once", (*path, "mix"))

    def check_entry(self, name: str, entry: BlockEntry) -> None:
        """A block entry has a kind that some plugin offers, or branches; one that extends another finds it."""
        path: Path = ("blocks", name)
        if entry.branches is not None:
            for extra in [key for key in ("kind", "extends") if getattr(entry, key) is not None] + list(
                entry.options
            ):
                self.report(
                    "E331",
                    f"block {name!r} has branches, so {extra!r} has no meaning here",
                    (*path, extra),
                    key=True,
                )
            for number, branch in enumerate(entry.branches):
                self.check_branch(branch, (*path, "branches", number))
            return
        seen = [name]
        while entry.extends is not None:
            if not self.known(entry.extends, ("blocks", seen[-1], "extends")):
                return
            if entry.extends in seen:
                self.report(
                    "E322",
                    f"block {name!r} extends itself: {' extends '.join([*seen, entry.extends])}",
                    (*path, "extends"),
                )
                return
            seen.append(entry.extends)
            entry = (
                self.spec.blocks[entry.extends]
                if entry.kind is None
                else entry.model_copy(update={"extends": self.spec.blocks[entry.extends].extends})
            )
        if entry.kind is None:
            self.report(
                "E323",
                f"block {name!r} has no kind",
                path,
                f"installed kinds: {', '.join(self.catalog.offers)}",
                key=True,
            )
        elif entry.kind not in self.catalog:
            self.report(
                "E324",
                f"no plugin offers a block of kind {entry.kind!r}",
                ("blocks", seen[-1], "kind"),
                self.catalog.unknown(entry.kind),
            )

    def words(self) -> tuple[Word, ...]:
        """The word of every layer."""
        spec = self.spec
        for word in self.pattern.words():
            if word.name not in spec.blocks:
                hint = hint_for_unknown(word.name, spec.blocks)
                place = self.pattern.place(word, name_only=True)
                self.problems.append(Problem("E320", f"unknown block {word.name!r}", place, "pattern", hint))
        return cycle(self.pattern.expand(), spec.layers, spec.remainder, self.origins.place(("layers",)))

    @cached_property
    def pattern(self) -> Pattern:
        """The pattern, parsed."""
        written = self.spec.pattern
        return read_pattern(written if isinstance(written, str) else list(written), self.origins)

    def choices(self, words: tuple[Word, ...]) -> list[dict[str, Choice]]:
        """For every layer and every block name, which options differ there and who said so."""
        choices = [self.arguments(word) for word in words]
        for number, override in enumerate(self.spec.overrides):
            path: Path = ("overrides", number)
            found = indices_of(override.at, len(words))
            if isinstance(found, str):
                self.report("E325", found, (*path, "at"))
                continue
            if override.block is not None and override.block not in self.spec.blocks:
                self.report(
                    "E321",
                    f"no block is called {override.block!r}",
                    (*path, "block"),
                    did_you_mean(override.block, self.spec.blocks),
                )
                continue
            for index in found:
                name = override.block or words[index].name
                choice = choices[index].setdefault(name, Choice())
                for key, value in override.set.items():
                    at = (*path, "set", key)
                    if message := choice.override(key, Said(value, at)):
                        self.report("E326", f"layer {index}: {message}", at, key=True)
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
        """One layer, with its guests."""
        guests = {guest.name: self.guest(guest, choices) for guest in word.guests}
        return LayerPlan(index, word.name, self.host(word, choices), guests)

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
        """Branches over the stream; no block stands twice in one chain."""
        names = [mix for branch in branches for mix in branch.mixes]
        if len(set(names)) < len(names):
            self.report("E330", "a layer names each of its mixers once", path)
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
        final = {key: Said(v, ("final", name, key)) for key, v in self.spec.final.get(name, {}).items()}
        said = {**choices.get(name, Choice()).values, **final}
        settled = self.settle(name, said)
        self.problems.extend(settled.problems)
        if settled.block is None:
            return None
        return MixerPlan(path, name, settled.block, self.site, settled.block.declares(self.site))

    @property
    def site(self) -> Site:
        """Where every block of the stream stands."""
        width = self.spec.hidden_size
        return Site(
            reads=width, writes=width, max_position_embeddings=self.spec.max_position_embeddings
        )

    def settle(self, name: str, said: dict[str, Said]) -> Settled:
        """The block's entry with what is said of it at a layer, decided once for equal layers."""
        key = (name, repr(said))
        if key not in self.settled:
            entry, options = self.spec.blocks[name], self.options(name)
            kind = self.catalog[options.pop("kind")]
            found = settle(kind, options, self.site, OptionOrigins(self.origins, ("blocks", name), said))
            if found.problems and (said or entry.extends):
                known = self.settle(name, {}) if said else self.settle(str(entry.extends), {})
                own = said or entry.options
                found = Settled(None, tuple(told_before(found.problems, known.problems, own)))
            self.settled[key] = found
        return self.settled[key]

    def options(self, name: str) -> dict[str, Any]:
        """A block's kind and options, laid on those of the block that it extends."""
        entry = self.spec.blocks[name]
        base = self.options(entry.extends) if entry.extends else {}
        kind = {"kind": entry.kind} if entry.kind is not None else {}
        merged: dict[str, Any] = merge(base, {**kind, **entry.options})
        return merged
