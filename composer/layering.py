"""Layers of a plan: words become chains of branches over blocks, with guests, shared weights and adapters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from .adapting import Where, adapter_plan, places_of, same_linear
from .block import Linears, Norm, Site
from .chain import AdapterPlan, BranchPlan, Chain, LayerPlan, MixerPlan, Trunk
from .drawing import drawn_apart
from .entries import Entries
from .errors import Path, Problem, did_you_mean, dotted
from .overrides import Choice, OptionOrigins, Said, Settled, settle, told
from .pattern import ONLY, Row, Tracks, Word, read_tracks
from .sharing import clashes
from .spec import BlockEntry, Branch


@dataclass
class Layers(Entries):
    """Decides one layer after the other; counts the uses of what is shared."""

    settled: dict[tuple[str, str, Site], Settled] = field(default_factory=dict)
    used: Counter[str] = field(default_factory=Counter)
    added: dict[tuple[object, ...], tuple[AdapterPlan, ...]] = field(default_factory=dict)

    @cached_property
    def tracks(self) -> Tracks:
        """The pattern of each track, parsed."""
        return read_tracks(self.spec.pattern, self.origins)

    def layer(self, index: int, row: Row, choices: dict[str, Choice]) -> LayerPlan:
        """One layer, with its guests; nothing is said of a block that it does not have."""
        words = row.values()
        guests = {guest.name: self.guest(guest, choices) for word in words for guest in word.guests}
        host, name = self.host(row, choices), "/".join(word.name for word in words)
        layer = LayerPlan(index, name, host, guests, dict(joins(row, host)))
        self.check_guests(row, layer)
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

    def check_guests(self, row: Row, layer: LayerPlan) -> None:
        """A guest has a name of its own beside the blocks of its host and the other guests."""
        seen = {mixer.path for mixer in layer.host.mixers}
        for track, word in row.items():
            for guest in word.guests:
                if guest.name in seen:
                    self.twice(track, guest, f"{guest.name!r} stands twice in a layer")
                seen.add(guest.name)

    def twice(self, track: str, word: Word, message: str) -> None:
        """A word of the pattern that a layer already has."""
        place, path = self.tracks.patterns[track].place(word), dotted(self.tracks.paths[track])
        self.add(Problem("E330", message, place, path, "to use it again, give it a second name: extends"))

    # ---------------------------------------------------------------- chains

    def host(self, row: Row, choices: dict[str, Choice]) -> Chain:
        """The word's own branches, or the spec's with the word of a track where its name stands."""
        names = {track: word.name for track, word in row.items()}
        owner, *others = names.values()
        if not others and (own := self.spec.blocks[owner].branches):
            self.check_no_guest(owner, "a layer of its own")
            return self.chain(own, ("blocks", owner, "branches"), {}, choices, owner)
        return self.chain(self.spec.layer or self.usual(1.0), ("layer",), names, choices)

    def check_no_guest(self, name: str, what: str) -> None:
        """A block that is no guest has nothing that only a guest has."""
        for key in ("reads", "out"):
            if getattr(self.spec.blocks[name], key) is not None:
                hint = f"let it ride on a layer: another+{name}"
                message = f"{name!r} is {what}, and only a guest has {key!r}"
                self.report("E339", message, ("blocks", name, key), hint, key=True)

    def usual(self, residual: float) -> tuple[Branch, ...]:
        """One branch: the model's norm and the word."""
        return (Branch(mix=ONLY, norm=self.spec.norm, residual=residual),)

    def guest(self, word: Word, choices: dict[str, Choice]) -> Chain:
        """A guest returns, without a residual around it all, what joins the host's input."""
        entry = self.spec.blocks[word.name]
        branches, path = entry.branches or self.usual(0.0), ("blocks", word.name)
        inside = (*path, "branches")
        reads = entry.reads or ("stream",)
        chain = self.chain(branches, inside, {ONLY: word.name}, choices, word.name, reads)
        last = chain.branches[-1].writes
        if chain.out is None and last != self.spec.hidden_size:
            hint = "add out: linear, or residual: 0 to a branch"
            message = f"{word.name!r} returns {last} channels, the stream has {self.spec.hidden_size}"
            self.report("E340", message, path, hint, key=True)
        return chain

    def chain(
        self,
        branches: tuple[Branch, ...],
        path: Path,
        names: Mapping[str, str],
        choices: dict[str, Choice],
        owner: str | None = None,
        reads: tuple[str, ...] = ("stream",),
    ) -> Chain:
        """Branches over what is read, with the blocks of `names` where tracks are mixed.

        What the entry of its `owner` says of sharing holds for all of it.
        """
        width = len(reads) * self.spec.hidden_size
        plans, now = list[BranchPlan](), width
        for number, branch in enumerate(branches):
            plans.append(self.branch(branch, (*path, number), names, choices, now, owner))
            now = plans[-1].writes
        mixers = [mixer for plan in plans for mixer in plan.mixers]
        projected = owner is not None and self.spec.blocks[owner].out
        out = Linears(reads=now, parts={"out": self.spec.hidden_size}) if projected else None
        trunk = self.trunk(owner) if owner else None
        return Chain(width, tuple(plans), reads, out, self.adapters(owner, mixers), trunk)

    def branch(
        self,
        branch: Branch,
        path: Path,
        names: Mapping[str, str],
        choices: dict[str, Choice],
        reads: int,
        owner: str | None,
    ) -> BranchPlan:
        """One residual branch over a stream of a width; without a residual it may change the width."""
        writes = reads if branch.residual else self.spec.hidden_size
        bound = self.spec.max_position_embeddings
        site = Site(reads=reads, writes=writes, max_position_embeddings=bound)
        mixers = [self.mixer(mix, names.get(mix, mix), choices, site, owner) for mix in branch.mixes]
        return BranchPlan(
            tuple(mixer for mixer in mixers if mixer),
            norm=self.norm(branch.norm, (*path, "norm")),
            post=self.norm(branch.post, (*path, "post")),
            after=self.norm(branch.after, (*path, "after")),
            scale=branch.scale,
            residual=branch.residual,
            dropout=branch.dropout,
            reads=reads,
            writes=writes,
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

    # ---------------------------------------------------------------- sharing and adapters

    def trunk(self, name: str) -> Trunk | None:
        """The next use of a shared word takes the next copy."""
        share = self.spec.blocks[name].share
        if share is None:
            return None
        self.used[name] += 1
        return Trunk(name, (self.used[name] - 1) % share.copies)

    def check_copies(self, layers: Iterable[LayerPlan], choices: Sequence[Mapping[str, Choice]]) -> None:
        """All uses of one copy have the same options; told once of whoever says otherwise."""
        seen: set[tuple[str, Path]] = set()
        for clash in clashes(layers):
            word, said = clash.trunk.word, clash.blame(choices)
            path = said.path if said else ("blocks", word, "share")
            place = said.place if said and said.place else self.origins.place(path, key=said is not None)
            if (word, path) not in seen:
                self.add(Problem("E341", clash.message, place, self.shown(path), clash.hint))
            seen.add((word, path))

    def adapters(self, word: str | None, mixers: list[MixerPlan]) -> tuple[AdapterPlan, ...]:
        """The adapters of a chain, decided once for equal ones."""
        key = (word, *((mixer.path, mixer.word, id(mixer.declared)) for mixer in mixers))
        if key not in self.added:
            self.added[key] = tuple(self.adding(word, mixers))
        return self.added[key]

    def adding(self, word: str | None, mixers: list[MixerPlan]) -> Iterator[AdapterPlan]:
        """The adapters of a chain: those that its word names and those that its blocks bring."""
        taken: dict[Where, str] = {}
        for name, parts, bare in self.adapted(word, mixers):
            places = dict(places_of(parts, bare))
            for key, adapter in (self.spec.blocks[name].adapters or {}).items():
                path: Path = ("blocks", name, "adapters", key)
                if key not in places:
                    hint = did_you_mean(key, places) or f"its linears are {', '.join(places)}"
                    self.report("E342", f"{name!r} has no linear {key!r}", path, hint, key=True)
                    continue
                mixer, group, part = where = places[key]
                for known in [each for each in taken if same_linear(each, where)]:
                    message = f"{taken[known]!r} has an adapter on the same linear"
                    self.report("E343", message, path, "keep one of them", key=True)
                taken[where] = key
                yield adapter_plan(adapter, next(m for m in mixers if m.path == mixer), group, part)

    def adapted(
        self, word: str | None, mixers: list[MixerPlan]
    ) -> Iterator[tuple[str, list[MixerPlan], bool]]:
        """Whose entry may name adapters of which blocks, and whether it leaves out the block's own path."""
        if word is not None:
            yield word, mixers, self.spec.blocks[word].branches is None
        for mixer in mixers:
            if mixer.word != word:
                yield mixer.word, [mixer], True

    # ---------------------------------------------------------------- blocks

    def mixer(
        self, path: str, name: str, choices: dict[str, Choice], site: Site, chain: str | None
    ) -> MixerPlan | None:
        """A block with its options settled at its place; `chain` is the word whose own chain it stands in."""
        if chain != name:
            self.check_no_guest(name, "a part of a layer" if chain is None else f"a part of {chain!r}")
        said = {**choices.get(name, Choice()).values, **self.final(name)}
        settled = self.settle(name, said, site)
        self.add(*settled.problems)
        if settled.block is None or settled.declared is None:
            return None
        trunk = self.mixer_trunk(name, chain)
        return MixerPlan(path, name, settled.block, site, settled.declared, trunk)

    def mixer_trunk(self, name: str, chain: str | None) -> Trunk | None:
        """The copy of a block that is shared by itself; one inside a shared chain cannot be."""
        entry: BlockEntry = self.spec.blocks[name]
        if chain == name or entry.share is None:
            return None
        if chain is not None and self.spec.blocks[chain].share:
            message = f"{name!r} stands inside {chain!r}, which is shared as a whole"
            self.report("E344", message, ("blocks", name, "share"), "share one of them", key=True)
            return None
        return self.trunk(name)

    def final(self, name: str) -> dict[str, Said]:
        """What has the last word on the options of a block."""
        return {
            key: Said(value, ("final", name, key)) for key, value in self.spec.final.get(name, {}).items()
        }

    @property
    def site(self) -> Site:
        """Where a block of the stream stands."""
        width = self.spec.hidden_size
        return Site(reads=width, writes=width, max_position_embeddings=self.spec.max_position_embeddings)

    def settle(self, name: str, said: dict[str, Said], site: Site) -> Settled:
        """The block's entry with what is said of it at a layer, decided once for equal places."""
        key = (name, repr(said), site)
        if key not in self.settled:
            entry, options = self.spec.blocks[name], self.options(name)
            kind = self.catalog[options.pop("kind")]
            origins = OptionOrigins(self.origins, ("blocks", name), said, tuple(self.lineage(name)))
            found = settle(kind, options, site, origins)
            if found.problems:
                own, known = said or entry.options, self.known_of(name, bool(said), site)
                found = Settled(problems=tuple(told(found.problems, known.problems, own, origins)))
            elif found.declared:
                found = replace(found, declared=drawn_apart(name, found.declared, self.spec.init))
            self.settled[key] = found
        return self.settled[key]

    def known_of(self, name: str, special: bool, site: Site) -> Settled:
        """What is known of a block before anything special is said of it, or of the block that it extends."""
        base = name if special else self.spec.blocks[name].extends
        if base is None or self.kind_of(base) not in self.catalog:
            return Settled()
        return self.settle(base, {} if special else self.final(base), site)


def joins(row: Row, host: Chain) -> Iterator[tuple[str, int]]:
    """The branch that mixes the word of each guest, where it is not the first of the layer."""
    found = {mixer.path: number for number, branch in enumerate(host.branches) for mixer in branch.mixers}
    for track, word in row.items():
        if number := found.get(track, 0):
            yield from ((guest.name, number) for guest in word.guests)
