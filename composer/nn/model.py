"""The model: a token table, layers over one stream, a final norm and a head.

B batch, T tokens, D width of the stream, E width of the token table, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.errors import CallError, fail
from composer.plan import Plan

from .cache import HybridCache
from .embedding import positions_of, table_of
from .faults import explain
from .heads import Head, Scores, head_of, scores_of
from .layer import Layer, NormModule, Slots, real, shared_module
from .linears import Leaf, LinearGroup
from .losses import causal_loss, problem_of, sequence_loss, span_loss, token_loss
from .output import Loading, ModelOutput
from .ragged import parts
from .resize import resize, rows_wanted
from .rows import Call, Given, read_call
from .step import Step

if TYPE_CHECKING:
    from composer.text import Tokenizer


class Model(nn.Module):
    """A plan, built.  Made by `composer.build` or `composer.load`."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.attention = "sdpa"
        self.generation: Mapping[str, Any] | None = None  # a checkpoint's defaults; else the spec's
        self.loading: Loading | None = None
        self.problem_type = plan.head.problem_type  # else what the first labels were
        sizes = plan.sizes
        self.embed = table_of(sizes.vocab_size, sizes.embedding_size, plan.embedding.padding)
        if plan.embedding.positions is not None and sizes.max_position_embeddings is not None:
            self.positions = table_of(
                sizes.max_position_embeddings + plan.embedding.positions, sizes.hidden_size
            )
        if plan.projections:
            self.project_in = Leaf(sizes.embedding_size, sizes.hidden_size, bias=False)
            self.project_out = Leaf(sizes.hidden_size, sizes.embedding_size, bias=False)
        self.shared = nn.ModuleDict(
            {word: nn.ModuleList(map(shared_module, copies)) for word, copies in plan.shared.items()}
        )
        self.layers = nn.ModuleList(Layer(layer) for layer in plan.layers)
        self.norm = NormModule(plan.norm, sizes.hidden_size) if plan.norm else None
        self.head = head_of(plan)

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self.embed.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the stream."""
        return self.embed.weight.dtype

    def prepare(self) -> Self:
        """Pack every group of linears for inference: a second copy of the weights, for faster decoding on a CPU.

        Results are those of the plain form up to rounding.  `train()`, `to()`, loading and any change of a
        parameter leave it; calls that want gradients never use it.  Hooks on single linears do not fire.
        """
        for module in self.modules():
            if isinstance(module, LinearGroup):
                module.prepare()
        if isinstance(self.head, Head):
            self.head.prepare(self.embed.weight)
        return self

    def resize_token_embeddings(
        self,
        new_num_tokens: int | None = None,
        pad_to_multiple_of: int | None = None,
        mean_resizing: bool = True,
    ) -> nn.Embedding:
        """Give the vocabulary another size, in the token table, a head over it, the plan and its spec.

        The first rows stay.  New ones are the mean of all old ones, or with `mean_resizing=False` drawn as the
        spec says.  Parameters are new objects: make the optimizer afterwards.  Raises CallError E724.
        """
        resize(self, rows_wanted(self, new_num_tokens, pad_to_multiple_of), mean_resizing)
        return self.embed

    def new_cache(self, batch_size: int, max_length: int | None = None, rollback: int = 0) -> HybridCache:
        """A cache for `batch_size` rows; with `max_length` (tokens a row) everything is allocated now."""
        return HybridCache(self.plan, batch_size, max_length, rollback, self.dtype, self.device)

    def forward(
        self,
        input_ids: Tensor | None = None,  # (B, T)
        attention_mask: Tensor | None = None,  # (B, T), or (B, past + T) with a cache
        position_ids: Tensor | None = None,  # (B or 1, T)
        inputs_embeds: Tensor | None = None,  # (B, T, E)
        past_key_values: HybridCache | None = None,
        labels: Tensor | None = None,  # (B, T) of tokens, (B,) or (B, N) of rows; -100 is ignored
        start_positions: Tensor | None = None,  # (B,), columns
        end_positions: Tensor | None = None,  # (B,), columns
        segment_ids: Tensor | None = None,  # (B, T), packed sequences of a row
        use_cache: bool = False,
        logits_to_keep: int | Tensor = 0,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
        num_items_in_batch: int | Tensor | None = None,
        **refused: Any,
    ) -> ModelOutput:
        """Run the model; names, shapes and meanings are those of the transformers library.

        Padding may stand on either side.  `logits_to_keep` n > 0 keeps the last n real tokens of each row,
        0 keeps all, a 1-D tensor keeps those columns.  `num_items_in_batch` divides the summed loss of next
        tokens, in place of their number here.  Raises CallError for what contradicts itself.
        """
        given = Given(
            input_ids,
            attention_mask,
            position_ids,
            inputs_embeds,
            past_key_values,
            labels,
            start_positions,
            end_positions,
            segment_ids,
            use_cache,
            logits_to_keep,
            num_items_in_batch,
        )
        call, cache = read_call(self, given, refused), past_key_values
        if cache is None and use_cache:
            cache = self.new_cache(call.batch)
        step = self._begin(call, cache, output_attentions)
        try:
            out = self._answer(call, step, cache, output_hidden_states)
            if cache is not None:
                cache.commit(step)  # here too an interrupt leaves layers and lengths apart
        except BaseException as error:
            if cache is not None:
                cache.poison(error)
            explain(error, self, self.plan)
            raise
        out.loss = self._loss(out, given)
        return out

    def _begin(self, call: Call, cache: HybridCache | None, record: bool) -> Step:
        """The step of a call, with the embedded stream."""
        stream = self._looked_up(call.ids) if call.embeds is None else call.embeds
        if cache is not None:
            cache.require_room(call.counts)
            if torch.is_grad_enabled() and (stream.requires_grad or self._learns()):
                fail(
                    CallError,
                    "E703",
                    "gradients do not flow through a cache",
                    hint="wrap the call in torch.no_grad(), or call without a cache",
                )
        step = Step(
            stream,
            tuple(cache.lengths) if cache else (0,) * call.batch,
            call.counts,
            position_ids=call.positions,
            segments=call.segments,
            max_length=cache.max_length if cache else None,
            cached=cache is not None,
            attention=self.attention,
            record=record,
        )
        step.embedded = real(self._positioned(stream, step), step)
        return step

    def _looked_up(self, ids: Tensor | None) -> Tensor:
        """(B, T, E) vectors of ids."""
        stream: Tensor = self.embed(ids)
        scale = self.plan.embedding.scale
        return stream if scale is None else stream * torch.tensor(scale, dtype=stream.dtype)

    def _positioned(self, stream: Tensor, step: Step) -> Tensor:
        """(B, T, E) to the stream (B, T, D): widened, with learned positions."""
        embedding = self.plan.embedding
        if self.plan.projections:
            stream = self.project_in(stream)
        if embedding.positions is not None:
            stream = stream + positions_of(step, self.positions, embedding.positions)
        return F.dropout(stream, embedding.dropout, self.training) if embedding.dropout else stream

    def _behind(self, stream: Tensor, step: Step) -> Tensor:
        """(B, T, D) of the last layer to what the head reads, (B, T, E)."""
        if self.norm is not None:
            stream = real(self.norm(stream), step)
        return self.project_out(stream) if self.plan.projections else stream

    def _running(self, cached: bool) -> list[int]:
        """The layers that a call runs: a training step leaves some out, unless they are to remember it."""
        rate = 0.0 if cached or not self.training else self.plan.layerdrop
        return [index for index, _ in enumerate(self.layers) if rate == 0 or not torch.rand(()) < rate]

    def _learns(self) -> bool:
        """Whether any parameter wants a gradient."""
        return any(parameter.requires_grad for parameter in self.parameters())

    def _answer(self, call: Call, step: Step, cache: HybridCache | None, states: bool) -> ModelOutput:
        """Run every layer and the head; the cache has been written to, and is to be committed."""
        kept: list[Tensor] = []
        attentions: list[Tensor] = []

        def record(name: str, value: Tensor) -> None:
            if name == "attentions":
                attentions.append(call.restore_map(value, continued=any(step.starts)))

        if states or step.recording:
            stream, running = step.embedded, self._running(cached=cache is not None)
            for index, layer in enumerate(self.layers):
                kept.append(call.restore(stream))
                if index not in running:
                    continue
                slots = cache.slots[index] if cache else {}
                stream = layer(stream, step, slots, record if step.recording else None, self.shared)
        else:
            stream = self._through(step, cache)
        last = self._behind(stream, step)
        whole = call.restore(last) if states or self.head is None else None
        kind, table = self.plan.head.kind, self.embed.weight
        scores = scores_of(kind, self.head, last, call, table) if self.head else Scores()
        return ModelOutput(
            logits=scores.logits,
            start_logits=scores.start_logits,
            end_logits=scores.end_logits,
            past_key_values=cache,
            last_hidden_state=whole,
            hidden_states=(*kept, whole) if states and whole is not None else None,
            attentions=tuple(attentions) if step.recording else None,
        )

    def _through(self, step: Step, cache: HybridCache | None) -> Tensor:
        """(B, T, D) behind the last layer; rows of very different lengths go through it in parts."""
        layers = [(i, self.layers[i]) for i in self._running(cached=cache is not None)]
        whole = range(len(step.counts))
        found = [whole] if cache and cache.allowed else parts(step.counts, step.device.type)
        if found == [whole]:
            return self._layers(layers, step, [cache.slots[i] for i, _ in layers] if cache else None)
        out = torch.zeros_like(step.embedded)
        for rows in found:
            part = step.part(rows)
            slots = [cache.rows(i, rows, step.ends) for i, _ in layers] if cache else None
            out[rows.start : rows.stop, : part.width] = self._layers(layers, part, slots)
        return out

    def _layers(
        self, layers: Sequence[tuple[int, nn.Module]], step: Step, slots: Sequence[Slots] | None
    ) -> Tensor:
        """(B, T, D) through one layer after the other."""
        stream = step.embedded
        for number, (_, layer) in enumerate(layers):
            stream = layer(stream, step, slots[number] if slots else {}, None, self.shared)
        return stream

    def _loss(self, out: ModelOutput, given: Given) -> Tensor | None:
        """How far the scores are from what was to be learnt; None where nothing was."""
        labels, logits = given.labels, out.logits
        if out.start_logits is not None and out.end_logits is not None:
            starts, ends = given.start_positions, given.end_positions
            if starts is None or ends is None:
                return None
            return span_loss(out.start_logits, out.end_logits, starts.view(-1), ends.view(-1))
        if labels is None or logits is None:
            return None
        if self.plan.head.kind == "token-classification":
            return token_loss(logits, labels)
        if self.plan.head.kind == "sequence-classification":
            self.problem_type = self.problem_type or problem_of(labels, logits.shape[-1])
            return sequence_loss(logits, labels, self.problem_type)
        return causal_loss(logits, labels, given.num_items_in_batch)

    def generate(self, input_ids: Tensor, attention_mask: Tensor | None = None, **options: Any) -> Tensor:
        """Token ids (batch, prompt + new); options are those of `composer.generate.GenerationOptions`."""
        from composer.generate import generate

        return generate(self, input_ids, attention_mask=attention_mask, **options)

    def stream(self, tokenizer: Tokenizer, prompt: str | list[int], **options: Any) -> Iterator[str]:
        """Text as it is generated; the pieces concatenate to the decoded whole."""
        from composer.generate import stream

        return stream(self, tokenizer, prompt, **options)
