"""Which tokens are special, as the files beside tokenizer.json say in the layouts of the 4.x and 5.x era.

tokenizer_config.json names them (`eos_token`: a string or a mapping with `content`); its
`added_tokens_decoder` gives their matching rules. Where that table is absent, special_tokens_map.json and
added_tokens.json have the last word, as they did before it existed. A named token that the vocabulary lacks
is added behind it, with a new id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.errors import TextError, fail
from composer.text.files import ADDED, CONFIG, SPECIAL

if TYPE_CHECKING:
    import tokenizers

NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


class Specials:
    """Named tokens, further special tokens and the table of added ones, as the files give them."""

    def __init__(self, config: dict[str, Any], special_map: dict[str, Any], added: dict[str, Any]) -> None:
        self.table = added_table(config)
        self.named: dict[str, Any] = {}
        self.extra: list[Any] = []
        self._take(config, CONFIG)
        if config.get("added_tokens_decoder") is None:
            self._take(special_map, SPECIAL)
            self.table |= self._legacy(added)

    def _take(self, source: dict[str, Any], file: str) -> None:
        """The named and further tokens of one file; later files win."""
        for key, value in source.items():
            if value is None:
                continue
            if key in NAMES:
                self.named[key] = token(value, key, file)
            elif key.endswith("_token") and isinstance(value, str):
                self.named[key] = value
        extra = source.get("extra_special_tokens") or source.get("additional_special_tokens") or []
        if isinstance(extra, dict):
            self.named |= {k: token(value, f"extra_special_tokens.{k}", file) for k, value in extra.items()}
        elif isinstance(extra, list):
            self.extra += [token(value, "extra_special_tokens", file) for value in extra]
        else:
            wrong(extra, "extra_special_tokens", file, "a list or a mapping of tokens")

    def in_order(self) -> list[Any]:
        """The named tokens, the usual names first."""
        return [self.named[name] for name in dict.fromkeys((*NAMES, *self.named)) if name in self.named]

    def _legacy(self, added: dict[str, Any]) -> dict[int, Any]:
        """added_tokens.json: token to id."""
        special = {content(value) for value in (*self.named.values(), *self.extra)}

        def rules(name: str) -> dict[str, bool]:
            return {"normalized": name not in special, "special": name in special}

        return {
            index_of(index, name, ADDED): added_token(name, **rules(name)) for name, index in added.items()
        }

    def add_to(self, backend: tokenizers.Tokenizer) -> None:
        """Add what `backend` lacks: the table by id, then the named tokens, then the further ones."""
        known = backend.get_added_tokens_decoder().values()
        rules = {repr(one) for one in known}
        wanted = [one for _, one in sorted(self.table.items()) if repr(one) not in rules]
        by_content = {content(one): one for one in self.table.values()}
        present = {content(one) for one in (*known, *wanted)}
        for value in (*self.in_order(), *self.extra):
            name = content(value)
            if name not in present:
                present.add(name)
                wanted.append(by_content.get(name, value))
        if wanted:
            backend.add_tokens([special(one, self.named) for one in wanted])


def special(value: Any, named: dict[str, Any]) -> tokenizers.AddedToken:
    """`value` as a token to add; a named one is special whatever its table says."""
    one = added_token(value, special=True) if isinstance(value, str) else value
    if not one.special and one.content in map(content, named.values()):
        one.special = True
    return one


def token(value: Any, key: str, file: str) -> Any:
    """A token written as a string or as a mapping with its rules."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or not isinstance(value.get("content"), str):
        wrong(value, key, file, "a string or a mapping with `content`")
    flags = {flag: value[flag] for flag in FLAGS if flag in value}
    if not all(isinstance(flag, bool) for flag in flags.values()):
        wrong(value, key, file, "true or false for each of " + ", ".join(FLAGS))
    if file == SPECIAL:
        flags["special"] = True
    return added_token(value["content"], **flags)


def added_table(config: dict[str, Any]) -> dict[int, Any]:
    """`added_tokens_decoder` of tokenizer_config.json: id to token."""
    table = config.get("added_tokens_decoder")
    if table is None:
        return {}
    if not isinstance(table, dict):
        wrong(table, "added_tokens_decoder", CONFIG, "a mapping from id to token")
    for key, value in table.items():
        if not isinstance(value, dict):
            wrong(value, f"added_tokens_decoder.{key}", CONFIG, "a mapping with `content`")
    return {index_of(key, key, CONFIG): token(value, key, CONFIG) for key, value in table.items()}


def padding_side(config: dict[str, Any], padding: dict[str, Any] | None) -> str:
    """`left` or `right`: tokenizer_config.json says it, else the padding in tokenizer.json, else `right`."""
    side = config.get("padding_side") or (padding or {}).get("direction") or "right"
    if side not in ("left", "right"):
        wrong(side, "padding_side", CONFIG, "left or right")
    return str(side)


def added_token(text: str, **flags: bool) -> tokenizers.AddedToken:
    from tokenizers import AddedToken

    return AddedToken(text, **flags)


def content(value: Any) -> str:
    """The text of a token."""
    return value if isinstance(value, str) else str(value.content)


def index_of(value: Any, key: str, file: str) -> int:
    """A token id out of a file: a number or, as a JSON key, its digits."""
    digits = str(value)
    if isinstance(value, bool) or not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        wrong(value, key, file, "a token id")
    return int(digits)


def wrong(value: Any, key: str, file: str, expected: str) -> Any:
    found = type(value).__name__ if isinstance(value, dict | list) else repr(value)
    message, hint = f"{key} in {file} is {found}", f"expected {expected}"
    fail(TextError, "E604", message, path=key, expected=expected, found=found, hint=hint)
