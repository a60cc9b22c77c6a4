"""`simkit score`: a parquet file of prompts into one of beliefs, or what that would cost."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from simkit.cli.words import CLUSTER, FOLDER, MODEL, WORKERS, in_words, warnings_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simkit.scoring.parquet.stream import Streamed
    from simkit.scoring.remote import Spent

__all__ = ["score"]

DRY = "Only count, of a server: requests, tokens and, with a price, money. Nothing is written."
PRICE = "Money for a million tokens read and a million written."
CHAT = ("chat", "system", "fold_system", "prefix", "answer", "thinking")


@click.command()
@click.option(
    "--prompts", type=FOLDER, required=True,
    help="The design: a parquet file, a row per prompt; on a cluster also a folder of such.",
)  # fmt: skip
@click.option(
    "--out", type=FOLDER, required=True,
    help="The parquet file to write, a row per option; on a cluster a folder of such.",
)  # fmt: skip
@click.option("--model", required=True, help=MODEL)
@click.option("--options", "first", multiple=True, metavar="TEXT...",
              help="The options: --options yes no; {column} fields are filled.")  # fmt: skip
@click.argument("more", nargs=-1, metavar="")
@click.option(
    "--options-from", "column", metavar="COLUMN", help="Or: a column of lists of options."
)
@click.option("--template", help=r"The prompt, with {column} fields; \n is a new line.")
@click.option("--prompt-column", "prompt", metavar="COLUMN", default="prompt",
              help="Where the prompts are if no template is given.")  # fmt: skip
@click.option("--separator", default=" ", help="Put between prompt and option.")
@click.option("--form", multiple=True, metavar="OPTION=TEXT",
              help="A further spelling of an option; repeatable.")  # fmt: skip
@click.option(
    "--layout", default="text",
    help="text, letters or numbers: what is scored; labels need {options} in the template.",
)  # fmt: skip
@click.option(
    "--orders", default="auto",
    help="Orders in which {options} are listed: given, cyclic (averaged), or auto, which is "
    "cyclic for letters and numbers.",
)  # fmt: skip
@click.option("--chat", is_flag=True, help="Lay the prompts out by the model's chat template.")
@click.option("--system", metavar="TEXT", help="System text of a chat; {column} fields are filled.")
@click.option("--fold-system", is_flag=True, help="Put the system text into the user's turn.")
@click.option(
    "--answer",
    metavar="TEXT",
    help="How a chat is told to answer; auto makes a sentence of the options.",
)
@click.option(
    "--thinking",
    metavar="HOW",
    help="Where a chat's template lets the model think: refuse, or close the thought.",
)
@click.option(
    "--answer-prefix", "prefix", metavar="TEXT", help="How a chat's answer begins: Answer:"
)
@click.option("--bare", is_flag=True, help="Leave the design's own columns out.")
@click.option(
    "--cache", type=FOLDER,
    help="A file to keep scores in: a run that was stopped goes on from there.",
)  # fmt: skip
@CLUSTER
@WORKERS
@click.option("--batch", "rows", default=8_192, help="Prompts that are worked on together.")
@click.option("--device", default="auto", help="auto, cpu, cuda, mps.")
@click.option("--dtype", default="auto", help="auto, float32, bfloat16, float16.")
@click.option("--revision", help="A revision on the hub.")
@click.option("--setting", nargs=2, multiple=True, metavar="NAME VALUE",
              help="Of a server: model NAME, workers 16, most_cost 5; repeatable.")  # fmt: skip
@click.option("--price", nargs=2, type=float, metavar="READ WRITTEN", help=PRICE)
@click.option("--dry-run", is_flag=True, help=DRY)
def score(
    prompts: Path,
    out: Path,
    model: str,
    setting: tuple[tuple[str, str], ...],
    price: tuple[float, float] | None,
    dry_run: bool,
    **asked: Any,
) -> None:
    """Score options after every prompt of a parquet file that may be larger than memory.

    The last line is the path of the result: a row per prompt and option, with its log-probability
    and belief. It is there when all of it is. On a cluster, the same command takes up again what
    was stopped.
    """
    from functools import partial

    from simkit import scoring
    from simkit.scoring.parquet.design import ParquetDesign

    where = {name: asked.pop(name) for name in ("device", "dtype", "revision", "cache")}
    # Only what was set: a backend need not know of devices.
    where = {name: value for name, value in where.items() if value not in ("auto", None)}
    where |= {name: _number(value) for name, value in setting}
    where |= {"price": price} if price else {}
    chat = {name: asked.pop(name) for name in CHAT}
    with in_words():
        asked["options"] = _options(asked.pop("first"), asked.pop("more"), asked.pop("column"))
        asked |= {"forms": _forms(asked.pop("form")), "chat": _chat(**chat)}
        asked["separator"] = asked["separator"].replace("\\n", "\n")
        if asked["template"] is not None:
            asked["template"] = asked["template"].replace("\\n", "\n")
        if asked["orders"] == "given":
            asked["orders"] = None
        shared = {name: asked.pop(name) for name in ("cluster", "workers")}
        if shared["cluster"]:  # each worker loads the model
            if dry_run:
                raise ValueError("a dry run counts in this process; leave cluster out")
            lm = partial(scoring.load, model, **where) if where else model
        else:
            ParquetDesign(prompts, out, **asked)  # before a large model is read
            if dry_run:
                with TemporaryDirectory() as folder:
                    _check_server(model)
                    lm = scoring.load(model, dry_run=True, **where)
                    asked["least_mass"] = 0.0  # of numbers that are made up
                    scoring.score_parquet(lm, prompts, Path(folder, "out.parquet"), **asked)
                click.echo(_estimate(lm.would_spend, lm.spent))
                return
            lm = scoring.load(model, **where)
        with _bar() as show, warnings_in_words():
            done = scoring.score_parquet(lm, prompts, out, progress=show, **shared, **asked)
    click.echo(_summary(done), err=True)
    if hasattr(lm, "spent"):
        click.echo(lm.spent, err=True)
    click.echo(out)


def _forms(texts: Sequence[str]) -> dict[str, list[str]]:
    """Spellings by option, from words such as yes=YES."""
    forms: dict[str, list[str]] = {}
    for text in texts:
        option, equals, form = text.partition("=")
        if not equals or not option or not form:
            raise ValueError(f"--form takes OPTION=TEXT, got {text!r}")
        forms.setdefault(option, []).append(form)
    return forms


def _options(first: Sequence[str], more: Sequence[str], column: str | None) -> list[str] | str:
    """The words after --options, of which the command line holds the first apart, or a column."""
    if any(text.startswith("--") for text in first):
        raise ValueError("--options takes one word or more")
    if bool(first) == bool(column) or (more and not first):
        raise ValueError("give --options TEXT... or --options-from COLUMN, one of the two")
    return column or [*first, *more]


def _chat(chat: bool, **parts: Any) -> Any:
    """A chat if anything of one was asked for, else False."""
    from simkit.scoring import Chat

    asked = {name: part for name, part in parts.items() if part not in (None, False)}
    return Chat(**asked) if chat or asked else False


def _number(text: str) -> int | float | str:
    """A setting's value: a number where it is one."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _check_server(model: Any) -> None:
    from simkit.scoring.load import is_served

    if not is_served(model):
        raise ValueError(f"--dry-run counts what a server would be asked, and {model!r} is none")


def _estimate(would: Spent, spent: Spent) -> str:
    """What a run would cost, a line for each fact."""
    guessed = f", of {would.guessed:,} requests guessed: a token for 4 characters"
    lines = [
        f"at least {would.requests:,} requests",
        f"{would.read:,} tokens to read{guessed if would.guessed else ''}",
        f"up to {would.written:,} tokens to write",
        f"{would.cost:.4g} in money" if would.price else "no price given: --price READ WRITTEN",
    ]
    if would.kept:
        lines.append(f"{would.kept:,} answers are in the cache")
    return "\n".join([*lines, f"sent so far, to learn what the server can do: {spent}"])


@contextmanager
def _bar() -> Iterator[Callable[[Streamed], None]]:
    """A bar on stderr, where that is a terminal."""
    from tqdm import tqdm

    with tqdm(unit=" prompts", disable=None, file=sys.stderr) as bar:

        def show(done: Streamed) -> None:
            bar.total = done.of
            bar.update(done.prompts - bar.n)
            bar.set_postfix_str(", ".join(_savings(done)))

        yield show


def _savings(done: Streamed) -> list[str]:
    """What was not computed: tokens that prompts share, and prompts from the store."""
    parts = [f"{done.stored:,} prompts came from the store"] if done.stored else []
    if done.saved == done.saved:  # not of a model that counts no tokens
        tokens = f"{done.positions:,.0f} of {done.plain:,.0f} tokens computed"
        parts.append(f"{tokens}: {done.saved:.1%} saved")
    return parts


def _summary(done: Streamed) -> str:
    """The whole run, a line for each fact."""
    rate = done.prompts / max(done.seconds, 1e-9)
    first = f"{done.prompts:,} prompts in {done.seconds:.1f} s, {rate:,.0f} prompts per second"
    return "\n".join([first, *_savings(done)])
