"""The head of a published model: which one its configuration names, and how a plan's is written there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ..errors import CallError, Problem, WeightsError
from ..heads import LABELS, TAKES, HeadOptions, head_plan
from ..plan import HeadKind, HeadPlan
from ..source.invalid import shown
from ..spec import Spec
from .family import Family, families

HEAD = "head.json"
"""The file of our own layout that says which head there is, where it is not one over the vocabulary."""
NAMES = {name for names in TAKES.values() for name in names}


@dataclass(frozen=True)
class StoredHead:
    """What a folder says of its head: its kind, None where nothing known is named, and its numbers.

    `source` is what errors call the file.
    """

    kind: HeadKind | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    def of(self, kind: str) -> dict[str, Any]:
        """The numbers that a head of this kind has."""
        return {name: self.options[name] for name in TAKES.get(kind, ()) if name in self.options}

    def changed(self, spec: Spec, kind: HeadKind, options: HeadOptions) -> HeadOptions:
        """These numbers where `options` say nothing; a head with other classes is another one.

        Raises `WeightsError` E534 for numbers of the folder that cannot be.
        """
        given = {name: value for name, value in options.items() if value is not None}
        found = self.of(kind)
        asked = [name for name in LABELS if name in given]
        if asked:
            labels = self.plan(spec, kind).labels or ()
            if asked != ["num_labels"] or given["num_labels"] != len(labels):
                found = {name: found[name] for name in found if name not in (*LABELS, "problem_type")}
        elif found:
            self.plan(spec, kind)
        return cast(HeadOptions, {**found, **given})

    def plan(self, spec: Spec, kind: HeadKind) -> HeadPlan:
        """A head of this kind with the numbers of the folder.  Raises `WeightsError` E534."""
        try:
            return head_plan(spec, kind, self.of(kind))
        except CallError as error:
            problems = error.problems
            raise WeightsError(
                *(Problem("E534", f"{self.source}: {p.message}", path=p.path) for p in problems)
            ) from None


def head_in(config: Mapping[str, Any], source: str) -> StoredHead:
    """The head that a configuration names; names of classes win over their number."""
    options = {name: config[name] for name in NAMES if config.get(name) is not None}
    if "id2label" in options:
        options.pop("num_labels", None)
    options.pop("label2id", None)  # the names by number say all
    options.pop("pad_token_id", None)  # the spec says it
    if config.get("hidden_dropout") is not None:
        options.setdefault("classifier_dropout", config["hidden_dropout"])
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    return StoredHead(_kind_of(first) if isinstance(first, str) else None, options, source)


def _kind_of(name: str) -> HeadKind | None:
    """The head that a class of the transformers library has; None for one that no family knows."""
    heads = ((family, kind) for family in families().values() for kind in family.file.heads)
    return next((kind for family, kind in heads if family.head_class(kind) == name), None)


def own_head(data: Mapping[str, Any], source: str) -> StoredHead:
    """The head that our own file names.  Raises `WeightsError` E534."""
    kind = data.get("head")
    options = {name: value for name, value in data.items() if name != "head"}
    unknown = [name for name in options if name not in TAKES.get(kind, ())] if isinstance(kind, str) else []
    if kind not in tuple(TAKES) or unknown:
        message = f"no head of the kind {shown(kind)}" + "".join(
            f" has the number {name!r}" for name in unknown[:1]
        )
        raise WeightsError(Problem("E534", f"{source}: {message}", path="head"))
    return StoredHead(cast(HeadKind, kind), options, source)


def head_config(head: HeadPlan, family: Family) -> dict[str, Any]:
    """What a configuration of the family says of a head.  Raises `WeightsError` E536 where it has no such head."""
    if not family.file.heads and head.kind in ("base", "causal-lm"):
        return {}
    if head.kind not in family.file.heads:
        message = f"a configuration of {family.name} cannot say this: no published head is {head.kind!r}"
        raise WeightsError(Problem("E536", message, path="head.kind", hint="save it with layout='composer'"))
    found = {"architectures": [family.head_class(head.kind)], **head_options(head)}
    if head.labels is not None:
        found["label2id"] = {name: number for number, name in enumerate(head.labels)}
    return found


def head_options(head: HeadPlan) -> dict[str, Any]:
    """The arguments that make this head of its kind."""
    found: dict[str, Any] = {}
    if head.labels is not None:
        found["id2label"] = {str(number): name for number, name in enumerate(head.labels)}
    for name in ("problem_type", "pad_token_id"):
        if getattr(head, name) is not None:
            found[name] = getattr(head, name)
    if head.dropout is not None:
        found["classifier_dropout"] = head.dropout
        found["token_classification_bias"] = head.bias
    return found
