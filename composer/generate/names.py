"""Which option names exist: ours, those of transformers that are not taken, and harmless notes in files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from composer.errors import Problem, did_you_mean

# Options that transformers has and we do not take, with the value at which each of them does nothing.
NOT_TAKEN: dict[str, Any] = {
    "num_beams": 1,
    "num_beam_groups": 1,
    "num_return_sequences": 1,
    "early_stopping": False,
    "length_penalty": 1.0,
    "diversity_penalty": 0.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "guidance_scale": 1,
    "top_h": None,
    "bad_words_ids": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "sequence_bias": None,
    "exponential_decay_length_penalty": None,
    "watermarking_config": None,
    "decoder_start_token_id": None,
    "max_time": None,
    "max_cache_len": None,
    "cache_implementation": None,
    "cache_config": None,
    "compile_config": None,
    "continuous_batching_config": None,
    "prefill_chunk_size": None,
    "prompt_lookup_num_tokens": None,
    "max_matching_ngram_size": None,
    "assistant_early_exit": None,
    "assistant_ensemble_weight": None,
    "speculation_type": None,
    "penalty_alpha": None,
    "dola_layers": None,
    "constraints": None,
    "force_words_ids": None,
    "renormalize_logits": False,
    "remove_invalid_values": False,
    "token_healing": False,
    "is_assistant": False,
    "use_mtp": False,
    "low_memory": False,
    "disable_compile": False,
    "output_attentions": False,
    "output_hidden_states": False,
    "output_scores": False,
    "output_logits": False,
    "return_dict_in_generate": False,
    "generation_config": None,
    "logits_processor": None,
    "stopping_criteria": None,
    "prefix_allowed_tokens_fn": None,
    "synced_gpus": False,
    "assistant_model": None,
    "streamer": None,
    "negative_prompt_ids": None,
    "negative_prompt_attention_mask": None,
    "custom_generate": None,
    "inputs": None,
    "inputs_embeds": None,
    "position_ids": None,
    "past_key_values": None,
}

# Keys of a published generation_config.json that say nothing about how to generate here: where the file
# came from, and the tuning of assistants, which only matters once an assistant is asked for.
NOTES = frozenset(
    {
        "_from_model_config",
        "_commit_hash",
        "transformers_version",
        "trust_remote_code",
        "num_assistant_tokens",
        "num_assistant_tokens_schedule",
        "assistant_confidence_threshold",
        "assistant_lookbehind",
        "target_lookbehind",
    }
)

_INSTEAD = {
    "num_beams": "leave it out: generation is greedy, or sampled with do_sample=True",
    "num_return_sequences": "repeat the rows of input_ids instead",
    "generation_config": "pass the options by name: max_new_tokens=64, do_sample=True",
    "streamer": "model.stream(tokenizer, prompt, ...) yields the text as it comes",
    "inputs": "the prompt is called input_ids",
    "past_key_values": "call the model itself to continue from a cache",
}


def check_names(options: Mapping[str, Any], known: tuple[str, ...]) -> tuple[dict[str, Any], list[Problem]]:
    """Part `options` into those whose name is `known`, and a problem for every other one.

    An option that is not taken passes silently at the value that does nothing.
    """
    problems = []
    for name, value in options.items():
        if name in NOT_TAKEN:
            neutral = type(value) in (int, float, bool) and value == NOT_TAKEN[name]
            if value is not None and not neutral:
                problems.append(_not_taken(name))
        elif name not in known:
            hint = did_you_mean(str(name), known) or f"the options are {', '.join(known)}"
            problems.append(Problem("E740", "no generation option has this name", path=str(name), hint=hint))
    return {name: value for name, value in options.items() if name in known}, problems


def _not_taken(name: str) -> Problem:
    neutral = NOT_TAKEN[name]
    hint = _INSTEAD.get(name, "leave it out" + (f", or at {neutral}" if neutral is not None else ""))
    return Problem("E741", "transformers has this option, it is not taken here", path=name, hint=hint)
