"""Token ids of prompts and of the options after them, as the whole text is tokenized.

A sequence of ids is kept as `bytes`, four per id with the high byte first. Such sequences hash,
concatenate and compare at C speed, and byte order is the order that a prefix tree needs: id by
id, a sequence before those that it begins.

With a tiny model the tokenizer would take most of the time. Where `cuts_before_blanks` proves
that the tokenizer never joins a blank to the non-blank before it, a text is looked up piece by
piece, each distinct piece being tokenized once, and an option that begins with a blank has the
same ids after every prompt that does not end in one:

    "The price is $3.00." + " yes"   ->   The| price| is| $3.00.| yes

Any other tokenizer, prompt or option is tokenized in full, prompt and option together.

The special tokens that a tokenizer puts before every text stand there once, whether it writes them
or the text (a chat template's) does; those that it would put behind every text are left out, for
an option is what follows.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from simkit.scoring.engine.specials import (
    Unreadable,
    ids_of,
    refuse_surrogates,
    specials,
    vocabulary,
)
from simkit.scoring.types import BoundaryError

__all__ = ["Ids", "Reader", "cuts_before_blanks", "nested", "pack", "unpack"]

Ids = bytes
WIDTH = 4  # bytes per id
PIECES_KEPT = 200_000  # remembered pieces; designs have few, free text may have millions

_log = logging.getLogger(__name__)

# Splitting patterns in which no match holds a blank after a non-blank, and no match looks past
# the non-blank that ends it: texts fall apart before every blank that follows a non-blank.
_PATTERNS = {
    # Llama 3, GPT-4's cl100k
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    # Qwen 2, 2.5 and 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    # the glass box
    r" ?\$?\d+(?:\.\d+)?| ?\p{L}+|\n| ?[^\s\p{L}\d]|\s+",
}
_RAGGED = re.compile(r"\s ")  # blanks that do not follow a non-blank
_CUT = re.compile(r"(?<=\S)(?= )")


def pack(ids: Sequence[int]) -> Ids:
    """Ids as bytes."""
    return np.asarray(ids, dtype=">u4").tobytes()


def unpack(ids: Ids) -> npt.NDArray[np.int64]:
    """Bytes as an array of ids."""
    return np.frombuffer(ids, dtype=">u4").astype(np.int64)


def nested(options: tuple[Ids, ...]) -> list[bool]:
    """For each option, whether an earlier one equals it or any one begins it (token by token).

    Two spellings are equal under a tokenizer that lowercases.
    """
    ids = set(options)
    return [
        o in options[:k] or any(o[:i] in ids for i in range(WIDTH, len(o), WIDTH))
        for k, o in enumerate(options)
    ]


class Reader:
    """Turns texts into ids for one tokenizer, remembering what it has seen.

    network : whose weights the ids must have; None to leave that unchecked.
    """

    def __init__(self, tokenizer: Any, network: Any = None) -> None:
        self.tokenizer, self.network = tokenizer, network
        found = specials(tokenizer)
        # What it puts before every text; None for a tokenizer that does something else.
        self._front = None if found is None else pack(found[0])
        self._tail = b"" if found is None else pack(found[1])
        self.by_pieces = self._front is not None and cuts_before_blanks(tokenizer)
        self._first: dict[str, Ids] = {}  # piece that opens a text -> ids
        self._later: dict[str, Ids] = {}  # piece -> ids of " " + piece
        self._confirmed = False

    def read(
        self, prompts: Sequence[str], options: Sequence[tuple[str, ...]], rows: Sequence[int]
    ) -> tuple[list[Ids], list[tuple[Ids, ...]]]:
        """Ids of each prompt, and of each option as it is written after that prompt.

        `rows` are the numbers under which errors name the prompts. Equal lists of options come
        back as one object where their ids are equal. Raises `BoundaryError`, and ValueError for
        text that cannot be read and for tokens without weights, naming the row.
        """
        try:
            contexts, answers = self._read(prompts, options, rows)
        except Unreadable as error:
            places = zip(rows, prompts, options, strict=True)
            part = error.text.strip(" ")  # a piece of a text is asked with a blank before it
            row = next((r for r, p, some in places if any(part in p + o for o in some)), rows[0])
            raise ValueError(f"row {row}: {error}") from error
        self._refuse_unknown(contexts, answers, options, rows)
        return contexts, answers

    def _read(
        self, prompts: Sequence[str], options: Sequence[tuple[str, ...]], rows: Sequence[int]
    ) -> tuple[list[Ids], list[tuple[Ids, ...]]]:
        for text in (*prompts, *(o for some in dict.fromkeys(options) for o in some)):
            refuse_surrogates(text)
        contexts = self.encode(prompts)
        if b"" in contexts:
            i = contexts.index(b"")
            raise ValueError(f"row {rows[i]}: prompt {prompts[i]!r} has no tokens")
        answers: list[tuple[Ids, ...]] = [()] * len(prompts)
        apart = self._stand_alone(prompts, options)
        for i, known in enumerate(apart):
            if known is not None:
                answers[i] = known
        rest = [i for i, known in enumerate(apart) if known is None]
        whole = iter(self.encode([prompts[i] + o for i in rest for o in options[i]]))
        for i in rest:
            full = [next(whole) for _ in options[i]]
            answers[i] = self._after(rows[i], prompts[i], options[i], contexts[i], full)
        shared: dict[tuple[Ids, ...], tuple[Ids, ...]] = {}
        return contexts, [shared.setdefault(a, a) for a in answers]

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Ids with the special tokens that the tokenizer puts before a text, once."""
        if not self._confirmed and texts:
            self._confirm(texts[:4])
        if not self.by_pieces:
            return self._tokenize_whole(texts)
        pieces = [_pieces(text) for text in texts]
        self._learn(pieces)
        first, later = self._first, self._later
        return [
            self._fronted(text, b"".join([first[some[0]], *[later[piece] for piece in some[1:]]]))
            for text, some in zip(texts, pieces, strict=True)
        ]

    def _tokenize_whole(self, texts: Sequence[str]) -> list[Ids]:
        if self._front is not None:
            return list(map(self._fronted, texts, self._call(texts, special=False)))
        bos = self.tokenizer.bos_token
        ids = self._call(texts, special=True)
        for i, text in enumerate(texts):
            if bos and text.startswith(bos):  # it brings its BOS: do not add a second one
                ids[i] = self._call([text], special=False)[0]
        return ids

    def _fronted(self, text: str, bare: Ids) -> Ids:
        """The ids with what goes before every text, less what of it the text begins with itself."""
        front, written = self._front or b"", 0
        if front and text[:1].isspace():  # a template may begin with an empty line
            words = self.tokenizer.convert_ids_to_tokens(unpack(front).tolist())
            if text.lstrip().startswith("".join(words)):
                return bare
        for at in range(0, len(front), WIDTH):
            if bare[written : written + WIDTH] == front[at : at + WIDTH]:
                written += WIDTH
        return front + bare[written:]

    def _call(self, texts: Sequence[str], *, special: bool) -> list[Ids]:
        if not texts:
            return []
        try:
            return [pack(ids) for ids in ids_of(self.tokenizer, texts, special)]
        except Exception as error:  # whatever a tokenizer raises, of ids that are none too
            if len(texts) == 1:
                raise Unreadable(texts[0], f"{type(error).__name__}: {error}") from error
        return [ids for text in texts for ids in self._call([text], special=special)]

    def _learn(self, texts: list[list[str]]) -> None:
        """Tokenize the pieces that were not met before, all in one call."""
        if len(self._first) + len(self._later) > PIECES_KEPT:
            self._first.clear()
            self._later.clear()
        opening = {some[0] for some in texts} - self._first.keys()
        seen: set[str] = set().union(*texts)
        later = seen - self._later.keys()  # holds openings too: harmless, and a set is quick
        for store, new, blank in ((self._first, opening, ""), (self._later, later, " ")):
            words = sorted(new)
            ids = self._call([blank + word for word in words], special=False)
            store.update(zip(words, ids, strict=True))

    def _confirm(self, texts: Sequence[str]) -> None:
        """Belt and braces: compare with the whole tokenization once, on real text."""
        self._confirmed = True
        if self._front is not None:
            bare, full = (self._call(texts, special=s) for s in (False, True))
            if any(self._front + b + self._tail != f for b, f in zip(bare, full, strict=True)):
                self._front, self.by_pieces = None, False
                _log.warning("the tokenizer's special tokens depend on the text; all are kept")
        if self.by_pieces and self.encode(texts) != self._tokenize_whole(texts):
            self.by_pieces = False
            _log.warning("the tokenizer does not cut before blanks; every text is read in full")

    def _stand_alone(
        self, prompts: Sequence[str], options: Sequence[tuple[str, ...]]
    ) -> list[tuple[Ids, ...] | None]:
        """Ids of a prompt's options where the prompt cannot touch them, else None."""
        if not self.by_pieces:
            return [None] * len(prompts)
        known: dict[tuple[str, ...], tuple[Ids, ...] | None] = {}
        for row in dict.fromkeys(options):
            fit = all(o.startswith(" ") for o in row)
            # An option opens no text here: its pieces all follow a blank.
            pieces = [_pieces(option) for option in row] if fit else []  # first is the empty one
            self._learn(pieces)
            ids = tuple(b"".join([self._later[p] for p in some[1:]]) for some in pieces)
            known[row] = ids if ids and all(ids) else None  # without tokens: refused in place
        return [
            None if prompt[-1:].isspace() else known[row]
            for prompt, row in zip(prompts, options, strict=True)
        ]

    def _after(
        self, row: int, prompt: str, options: tuple[str, ...], context: Ids, full: list[Ids]
    ) -> tuple[Ids, ...]:
        for option, ids in zip(options, full, strict=True):
            if ids == context:
                raise BoundaryError(
                    f"row {row}: option {option!r} has no tokens after prompt …{prompt[-20:]!r}: "
                    "this tokenizer leaves it out, so there is nothing to score"
                )
            if not ids.startswith(context):
                raise BoundaryError(self._merged(row, prompt, option, context, ids))
        return tuple(ids[len(context) :] for ids in full)

    def _merged(self, row: int, prompt: str, option: str, context: Ids, ids: Ids) -> str:
        start, end = unpack(context).tolist(), unpack(ids).tolist()
        words = self.tokenizer.convert_ids_to_tokens
        last = words(start[-1])
        if last in self.tokenizer.all_special_tokens and not prompt.endswith(last):
            return (
                f"row {row}: the tokenizer puts {last!r} behind every text, so an option would "
                "follow the end of the text. Switch that off where the tokenizer is made: "
                "add_eos_token=False, or a post-processor without it"
            )
        return (
            f"row {row}: the end of the prompt and the option are not tokenized apart, so the "
            f"option cannot be scored as written. Prompt …{prompt[-20:]!r} alone ends in tokens "
            f"{words(start[-3:])}; with option {option!r} the text is "
            f"{words(end[max(0, len(start) - 3) :])}. Move blanks from the end of the prompt to "
            f"the start of the option."
        )

    def _refuse_unknown(
        self, contexts: list[Ids], answers: list[tuple[Ids, ...]],
        options: Sequence[tuple[str, ...]], rows: Sequence[int],
    ) -> None:  # fmt: skip
        """ValueError for an id that the network has no weights for."""
        if self.network is None or not contexts:
            return
        read, written = vocabulary(self.network)
        choices = set(answers)
        own = unpack(b"".join(ids for some in choices for ids in some))
        if unpack(b"".join(contexts)).max() < read and own.max() < written:
            return
        for row, context, some, texts in zip(rows, contexts, answers, options, strict=True):
            self._refuse_ids(f"row {row}: the prompt", context, read)
            for text, ids in zip(texts, some, strict=True):
                self._refuse_ids(f"row {row}: option {text!r}", ids, written)

    def _refuse_ids(self, what: str, ids: Ids, limit: int) -> None:
        beyond = [i for i in unpack(ids).tolist() if i >= limit]
        if beyond:
            raise ValueError(
                f"{what} holds the token {self.tokenizer.convert_ids_to_tokens(beyond[0])!r} "
                f"(id {beyond[0]}), for which the model has no weights: it has those of {limit} "
                "tokens. Where tokens were added to the tokenizer, the model must be given weights "
                "for them, network.resize_token_embeddings(len(tokenizer)), and be trained on them"
            )


def _pieces(text: str) -> list[str]:
    """The text cut before each blank that follows a non-blank, those blanks taken away.

    The first piece opens the text and is empty if the text begins with a blank.
    """
    if not _RAGGED.search(text):
        return text.split(" ")
    first, *later = _CUT.split(text)
    if first.startswith(" "):
        return ["", first[1:], *[piece[1:] for piece in later]]
    return [first, *[piece[1:] for piece in later]]


def cuts_before_blanks(tokenizer: Any) -> bool:
    """True if tokens provably never hold a blank behind a non-blank.

    That holds when nothing but NFC rewrites the text, a splitter known to cut there comes first,
    the model works on what was split without chance, and no added token spans or eats blanks.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or backend.pre_tokenizer is None:
        return False
    if backend.normalizer is not None and _state(backend.normalizer) != {"type": "NFC"}:
        return False
    if getattr(backend.model, "dropout", None):
        return False
    added = backend.get_added_tokens_decoder().values()
    if any(" " in t.content or t.lstrip or t.rstrip or t.single_word for t in added):
        return False
    first = _state(backend.pre_tokenizer)
    steps = first["pretokenizers"] if first["type"] == "Sequence" else [first]
    return any(map(_is_splitter, steps)) and all(map(_is_local, steps))


def _state(part: Any) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(part.__getstate__())
    return state


def _is_splitter(step: dict[str, Any]) -> bool:
    if step["type"] == "ByteLevel":
        return bool(step["use_regex"])
    return step["type"] == "Split" and step["pattern"].get("Regex") in _PATTERNS


def _is_local(step: dict[str, Any]) -> bool:
    """True if the step treats a piece the same whatever stands around it."""
    if step["type"] == "ByteLevel":
        return not step["add_prefix_space"]
    if step["type"] == "Split":
        kept = step["behavior"] == "Isolated" and not step["invert"]
        return kept and step["pattern"].get("Regex") in _PATTERNS
    return bool(step["type"] == "Digits")
