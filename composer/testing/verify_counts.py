"""What the plan counts against what is built and allocated; without a model on the meta device, so of any size."""

from __future__ import annotations

from collections.abc import Iterator

from composer.errors import ComposerError
from composer.nn import Model, build
from composer.plan import Plan

from .bench import first_line
from .verify_rows import Row, counted, judged, unchecked
from .verify_subject import Subject

CACHES = ((1, 1, 0), (1, 100, 0), (3, 1000, 0), (2, 5000, 4))  # rows, tokens, tokens that may be rolled back


def count_rows(subject: Subject) -> Iterator[Row]:
    """Parameters, cache bytes, and whether the folder and the model are one for one."""
    subject.progress("counts")
    compared = f"{subject.plan.parameter_count:,} counted with those built"
    try:
        outline = build(subject.plan, device="meta", dtype=subject.dtype)
        yield parameters(subject, outline)
        yield cache_bytes(subject.model or outline)
    except ComposerError:
        raise
    except Exception as error:  # whatever a block's code raises
        yield Row(
            "parameters", compared, "WRONG", f"building raised {type(error).__name__}: {first_line(error)}"
        )
    yield weights(subject)


def parameters(subject: Subject, outline: Model) -> Row:
    """Names, shapes and order of what the modules make and of what is allocated; a fault of building is wrong."""
    plan, wrong = subject.plan, list[str]()
    said = {name: param.shape for name, param in plan.parameters().items()}
    for model in (outline, subject.model):
        if model is not None and not wrong:
            built = {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}
            wrong = [*misfits(said, built), *total(plan, model)]
    place = "made by the modules" if subject.model is None else "made and allocated"
    compared = f"{plan.parameter_count:,} counted with those {place}, by name, shape and order"
    return counted("parameters", compared, wrong or ([subject.fault] if subject.fault else []))


def misfits(said: dict[str, tuple[int, ...]], built: dict[str, tuple[int, ...]]) -> Iterator[str]:
    """What is counted and not built, built and not counted, of another shape, or in another place."""
    for name in dict.fromkeys([*said, *built]):
        if name not in built or name not in said:
            yield f"{name} is {'counted, not built' if name in said else 'built, not counted'}"
        elif said[name] != built[name]:
            yield f"{name} has shape {built[name]}, counted {said[name]}"
    if said.keys() == built.keys() and list(said) != list(built):
        yield "the order is another one"


def total(plan: Plan, model: Model) -> list[str]:
    """A count that is not the sum of what is there."""
    found = sum(tensor.numel() for tensor in model.parameters())
    if found == plan.parameter_count:
        return []
    return [f"{found:,} are built, {plan.parameter_count:,} are counted"]


def cache_bytes(model: Model) -> Row:
    """The counted bytes of caches of several sizes with what such caches take."""
    plan, size, worst, told = model.plan, model.dtype.itemsize, 0, ""
    most = plan.sizes.max_position_embeddings
    for rows, tokens, rollback in CACHES:
        tokens = tokens if most is None else min(tokens, most)
        said = plan.cache_bytes(tokens, rows, rollback, element_size=size)
        took = model.new_cache(rows, max_length=tokens, rollback=rollback).nbytes
        if abs(took - said) > worst:
            worst, told = (
                abs(took - said),
                f"{took:,} bytes for {rows} rows of {tokens:,} tokens, not {said:,}",
            )
    compared = f"counted with allocated, for {len(CACHES)} sizes of cache"
    return judged("cache bytes", compared, worst, 0, "bytes", told)


def weights(subject: Subject) -> Row:
    """Every tensor of the folder is used, every parameter has one, and its numbers are finite."""
    check, compared = "weights complete", "the tensors of a folder with the parameters, both ways"
    if subject.folder is None:
        return unchecked(check, compared, "a spec has no weights")
    if subject.damage:
        return Row(check, compared, "WRONG", subject.damage)
    if subject.model is None:
        return unchecked(check, compared, subject.missing)
    tensors, loading = dict(subject.model.named_parameters()), subject.model.loading
    names = [f"{name} was not filled" for name, tensor in tensors.items() if tensor.is_meta]
    names += [
        f"{name} is not finite" for name, tensor in tensors.items() if not bool(tensor.isfinite().all())
    ]
    names += [f"{name} is not there and was drawn" for name in (loading.new if loading else ())]
    names += [f"{name} is not used" for name in (loading.unused if loading else ())]
    return counted(check, f"the tensors of the folder with {len(tensors):,} parameters", names)
