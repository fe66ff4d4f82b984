"""Whether the entries of a spec fit together by name, before any layer is looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .assignments import ENTRY, Assignment
from .assignments import FILE as ASSIGNED
from .errors import Path, Problem, SpecError, did_you_mean, dotted
from .origins import Origins, merge
from .pattern import Row
from .plugins import Catalog
from .source.syntax import MAX_SHOWN, not_shown
from .spec import BlockEntry, Branch, Spec

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*")
# What stands for something else in a spec, begins with "_", or is what a norm beside a block is called.
RESERVED = re.compile(r"x[0-9]*|rest|mixer|norms|embedding|stream|adapters|out|_.*|.*-(?:post|after)")
# A block is an attribute of the torch module that holds it, which has these of its own; a test compares them.
TAKEN = {
    "T_destination", "add_module", "apply", "bfloat16", "branches", "buffers", "call_super_init", "child",
    "children", "clear", "compile", "cpu", "cuda", "double", "dump_patches", "eval", "extra_repr", "float",
    "forward", "get_buffer", "get_extra_state", "get_parameter", "get_submodule", "guests", "half", "ipu",
    "items", "keys", "load_state_dict", "modules", "mtia", "named_buffers", "named_children",
    "named_modules", "named_parameters", "parameters", "pop", "register_backward_hook", "register_buffer",
    "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
    "register_full_backward_pre_hook", "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook", "register_module", "register_parameter",
    "register_state_dict_post_hook", "register_state_dict_pre_hook", "requires_grad_", "run",
    "set_extra_state", "set_submodule", "share_memory", "state_dict", "to", "to_empty", "train", "training",
    "type", "update", "values", "xpu", "zero_grad",
}  # fmt: skip
MOST_ANCESTORS = 16
# What the place of a value on a command line has for a file.
TYPED = (ASSIGNED, "<pattern>")
MOST_PROBLEMS = 200
MOST_BLOCKS = 50_000


@dataclass
class Entries:
    """A spec, the blocks that are installed, and the problems found so far."""

    spec: Spec
    catalog: Catalog
    problems: list[Problem] = field(default_factory=list)

    @property
    def origins(self) -> Origins:
        """Where things were written."""
        return self.spec.origins

    def add(self, *problems: Problem) -> None:
        """Collect problems; so many of them have one cause, and the search for the nearest names takes time."""
        self.problems.extend(problems)
        if len(self.problems) > MOST_PROBLEMS:
            self.stop()

    def stop(self) -> None:
        """Raise what has been collected, each problem once."""
        found = list(dict.fromkeys(self.problems))
        if found:
            raise SpecError(*found[:MAX_SHOWN], *not_shown(len(found) - MAX_SHOWN))

    def report(self, code: str, message: str, path: Path, hint: str = "", key: bool = False) -> None:
        """Collect one problem at a key path."""
        place = self.origins.place(path, key)
        self.add(Problem(code, message, place, self.shown(path), hint))

    def is_typed(self, key: str) -> bool:
        """Whether a key of the spec comes from a command line, and not from a file."""
        place = self.origins.place((key,)) if self.origins.has((key,)) else None
        return place is not None and place.file in TYPED

    def shown(self, path: Path) -> str:
        """A key path as its author wrote it."""
        assigned = isinstance(self.origins.document(path), Assignment)
        return dotted(("blocks", *path[1:]) if assigned and path[:1] == ("final",) else path)

    def check_names(self) -> None:
        """Every name that a spec mentions outside the pattern is a block of it."""
        self.check_tracks()
        for name in self.spec.final:
            self.check_final(name)
        for name, entry in self.spec.blocks.items():
            self.check_name(name, ("blocks", name))
            if entry.branches is None:
                self.check_kind(name, entry)
            else:
                self.check_composite(name, entry, entry.branches)
        for number, branch in enumerate(self.spec.layer or ()):
            self.check_branch(branch, ("layer", number), *self.spec.tracks)
        self.check_repeats(self.spec.layer or (), ("layer",))
        if self.spec.remainder == "truncate" and self.spec.layers is None:
            message = "without 'layers' a pattern has no remainder to truncate"
            self.report("E337", message, ("remainder",), "write layers, or leave remainder out")

    def check_final(self, name: str) -> None:
        """What has the last word is about a block that has options."""
        if self.known(name, ("final", name), key=True) and self.spec.blocks[name].branches:
            for key in self.spec.final[name]:
                self.no_options(name, key, ("final", name, key))

    def check_tracks(self) -> None:
        """A track has a name that no block has and that a branch mixes."""
        mixed = self.mixed()
        for name in self.spec.pattern if isinstance(self.spec.pattern, dict) else ():
            path: Path = ("pattern", name)
            if name in self.spec.blocks:
                message = f"{name!r} is a block, and a track needs a name of its own"
                hint = "call it ffn, or whatever its words do in a layer"
                self.report("E345", message, path, hint, key=True)
            elif name != "mixer" and not self.check_name(name, path, "track"):
                continue
            elif name not in mixed and len(self.spec.tracks) > 1:
                message = f"no branch of the layer mixes the track {name!r}, so its words stand nowhere"
                hint = did_you_mean(name, mixed) or f"write mix: {name} in one branch"
                self.report("E336", message, path, hint, key=True)

    def mixed(self) -> set[str]:
        """What the branches of the spec's layer mix."""
        return {mix for branch in self.spec.layer or () for mix in branch.mixes} or {"mixer"}

    def check_mixer(self, rows: Sequence[Row]) -> None:
        """The spec's layer has a place for the words of a lone track that have no branches of their own."""
        (track, *others), mixed = self.spec.tracks, self.mixed()
        if others or track in mixed:
            return
        for name in dict.fromkeys(row[track].name for row in rows):
            if name in self.spec.blocks and not self.spec.blocks[name].branches:
                message = f"no branch of the layer mixes `{track}`, so the pattern's {name!r} stands nowhere"
                self.report("E336", message, ("layer",), f"write mix: {track} in one branch", key=True)
                return

    def check_extent(self, rows: Sequence[Row]) -> bool:
        """Whether so many layers of so many blocks can be decided in no time; reports it otherwise."""
        sizes: dict[tuple[int, ...], int] = {}
        total = 0
        for row in rows:
            key = tuple(map(id, row.values()))
            if key not in sizes:
                sizes[key] = self.extent(row)
            total += sizes[key]
        if total > MOST_BLOCKS:
            message = (
                f"all layers together have at most {MOST_BLOCKS:,} blocks and arguments, found {total:,}"
            )
            self.report("E211", message, ("pattern",), "use fewer layers, or fewer blocks in a layer")
        return total <= MOST_BLOCKS

    def extent(self, row: Row) -> int:
        """How many blocks and arguments there are in a layer, guests included."""
        blocks, total = self.spec.blocks, 0
        for word in row.values():
            for each in (word, *word.guests):
                own = blocks[each.name].branches if each.name in blocks else None
                branches = own or (self.spec.layer if each is word else None) or ()
                total += max(1, sum(len(branch.mixes) for branch in branches)) + len(each.arguments)
        return total

    def check_name(self, name: str, path: Path, what: str = "block") -> bool:
        """The name of a block can stand in a pattern, that of a track in a branch."""
        if name in TAKEN or RESERVED.fullmatch(name):
            self.report("E319", f"{name!r} is reserved", path, "choose another name", key=True)
        elif not NAME.fullmatch(name):
            hint = "names are letters, digits and '_', with '-' between them: shared-attn"
            self.report("E319", f"{name!r} cannot be the name of a {what}", path, hint, key=True)
        else:
            return True
        return False

    def known(self, name: str, path: Path, *also: str, key: bool = False) -> bool:
        """Whether the spec has a block of that name; reports it otherwise."""
        if name in self.spec.blocks or name in also:
            return True
        names = [*self.spec.blocks, *also]
        hint = did_you_mean(name, names) or f"the blocks are {', '.join(names)}"
        self.report("E321", f"no block is called {name!r}", path, hint, key)
        return False

    def check_branch(self, branch: Branch, path: Path, *also: str) -> None:
        """A branch names blocks, at least one, and none of them is a composite."""
        at = (*path, "mix")
        if not branch.mixes:
            self.report("E330", "a branch mixes at least one block", at, "write mix: mixer")
        for mix in branch.mixes:
            if self.known(mix, at, *also) and mix in self.spec.blocks and self.spec.blocks[mix].branches:
                message = f"{mix!r} has branches of its own and cannot be a part of one"
                self.report("E329", message, at, "name it in the pattern")

    def check_repeats(self, branches: tuple[Branch, ...], path: Path) -> None:
        """No block stands twice in one layer: its parameters would have one name."""
        seen: set[str] = set()
        for number, branch in enumerate(branches):
            for mix in branch.mixes:
                if mix in seen:
                    hint = "to use it again, give it a second name: extends"
                    self.report("E330", f"{mix!r} stands twice in a layer", (*path, number, "mix"), hint)
                seen.add(mix)

    def check_composite(self, name: str, entry: BlockEntry, branches: tuple[Branch, ...]) -> None:
        """A block with branches has nothing else."""
        path: Path = ("blocks", name)
        others = [key for key in ("kind", "extends") if getattr(entry, key) is not None]
        for key in [*others, *entry.options]:
            self.no_options(name, key, (*path, key))
        for number, branch in enumerate(branches):
            self.check_branch(branch, (*path, "branches", number))
        self.check_repeats(branches, (*path, "branches"))

    def no_options(self, name: str, key: str, path: Path) -> None:
        """A block with branches was given an option."""
        inside = [mix for branch in self.spec.blocks[name].branches or () for mix in branch.mixes]
        hint = f"its blocks have options: {', '.join(inside)}"
        self.report("E331", f"{name!r} has branches, so {key!r} means nothing here", path, hint, key=True)

    def check_kind(self, name: str, entry: BlockEntry) -> None:
        """A block is of a kind that some plugin offers; the kind may come from a block that it extends."""
        lineage = [name, *self.ancestors(name)]
        home = next((each for each in lineage if self.spec.blocks[each].kind is not None), lineage[-1])
        kind = self.spec.blocks[home].kind
        if kind is not None and kind not in self.catalog:
            message = f"no plugin offers a block of kind {kind!r}"
            self.report("E324", message, ("blocks", home, "kind"), self.catalog.unknown(kind))
        elif kind is None and self.spec.blocks[home].extends is None:
            hint = f"installed kinds: {', '.join(self.catalog.offers)}"
            self.report("E323", f"block {name!r} has no kind", ("blocks", name), hint, key=True)

    def ancestors(self, name: str) -> Iterator[str]:
        """The blocks that a block extends, nearest first, up to one that is missing, comes again, or is too far."""
        seen = [name]
        while (parent := self.spec.blocks[seen[-1]].extends) is not None:
            path: Path = ("blocks", seen[-1], "extends")
            if not self.known(parent, path):
                return
            if self.spec.blocks[parent].branches:
                message = f"{parent!r} has branches, and only a block with options can be extended"
                self.report("E329", message, path)
            if parent in seen:
                self.circle(seen[seen.index(parent) :])
                return
            if len(seen) == MOST_ANCESTORS:
                hint = "extend one that is nearer to the base"
                message = f"more than {MOST_ANCESTORS} blocks extend one another"
                self.report("E312", message, ("blocks", name, "extends"), hint)
                return
            seen.append(parent)
            yield parent

    def kind_of(self, name: str) -> str | None:
        """The kind of a block, its own or inherited; None where what it extends leads nowhere or too far."""
        kinds: list[str | None] = []
        each: str | None = name
        while each is not None:
            if each not in self.spec.blocks or len(kinds) >= MOST_ANCESTORS:
                return None
            entry = self.spec.blocks[each]
            kinds.append(entry.kind)
            each = entry.extends
        return next((kind for kind in kinds if kind is not None), None)

    def lineage(self, name: str) -> Iterator[Path]:
        """The key paths that a block takes options from, nearest first."""
        yield ("blocks", name)
        parent = self.spec.blocks[name].extends
        if parent is not None:
            yield ("final", parent)
            yield from self.lineage(parent)

    def options(self, name: str) -> dict[str, Any]:
        """A block's kind and options, laid on those of the block that it extends and what is final about that."""
        entry = self.spec.blocks[name]
        base: dict[str, Any] = {}
        if entry.extends:
            final = self.spec.final.get(entry.extends, {})
            base = merge(self.options(entry.extends), {k: v for k, v in final.items() if k not in ENTRY})
        kind = {"kind": entry.kind} if entry.kind is not None else {}
        merged: dict[str, Any] = merge(base, {**kind, **entry.options})
        return merged

    def circle(self, names: list[str]) -> None:
        """Blocks extend each other; told once, beginning with the first of them."""
        begin = names.index(min(names))
        names = [*names[begin:], *names[:begin]]
        circle = " extends ".join([*names, names[0]])
        hint = "one of them says what the others extend"
        self.report("E322", f"blocks extend each other: {circle}", ("blocks", names[0], "extends"), hint)
