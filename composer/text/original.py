"""Vocabularies in the files that models were first published with, turned into a tokenizer.json when read."""

from __future__ import annotations

import json
from pathlib import Path

from composer.errors import Place, Problem, TextError, fail
from composer.text.files import CONFIG, MOST_TOKENIZER, RANKS, TOKENIZER, read_bytes, text_of


def converted(file: Path) -> dict[str, bytes]:
    """The tokenizer.json and the tokenizer_config.json that mean the same as a vocabulary.

    Raises TextError: E602 it is damaged, E605 it cannot be read, E614 it is of a kind that is not read.
    """
    from composer.text.spm import UnknownVocabulary, from_sentencepiece
    from composer.text.tekken import RankProblem, from_ranks
    from composer.text.wire import WireProblem

    data = read_bytes(file, MOST_TOKENIZER)
    try:
        if RANKS.fullmatch(file.name):
            tokenizer, named = from_ranks(text_of(data, file, "E602"))
        else:
            tokenizer, named = from_sentencepiece(data)
    except (RankProblem, WireProblem) as error:
        message, place = f"this is not a vocabulary: {error}", Place(str(file), 1, 1)
        raise TextError(Problem("E602", message, place, hint="is the download complete?")) from None
    except UnknownVocabulary as error:
        hint = "AutoTokenizer's save_pretrained may write a tokenizer.json from it"
        fail(TextError, "E614", f"the vocabulary {str(file)!r} {error}", hint=hint)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **named, "clean_up_tokenization_spaces": False}
    return {TOKENIZER: _json(tokenizer), CONFIG: _json(config)}


def _json(data: object) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()
