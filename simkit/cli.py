"""The command line: `simkit run`, `list`, `score`, `data`, `train-world` and `train-adapters`."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simkit.reports import Study
    from simkit.scoring.bulk.stream import Streamed

__all__ = ["app"]

app = typer.Typer(
    help="How far can simulated people be trusted? Studies on language models, from the shell.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Profile(StrEnum):
    """Sizes of a run: `fast` is what the notebooks are saved with, `full` the source's own."""

    fast = "fast"
    full = "full"


class _Pairs(TyperCommand):
    """A command whose -p takes two words, NAME VALUE, as papermill's does.

    Typer has no option of pairs that may be repeated, so the two words are joined by "=" here.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        joined, rest = [], list(args)
        while rest:
            joined.append(rest.pop(0))
            if joined[-1] in ("-p", "--parameter") and rest:
                name = rest.pop(0)
                two = "=" not in name and rest and not rest[0].startswith("--")
                joined.append(f"{name}={rest.pop(0)}" if two else name)
        return list(super().parse_args(ctx, joined))


class _Lists(TyperCommand):
    """A command whose --options takes all words up to the next one that begins with "--"."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        joined, rest = [], list(args)
        while rest:
            joined.append(rest.pop(0))
            if joined[-1] == "--options":
                joined.pop()
                words = next((i for i, w in enumerate(rest) if w.startswith("--")), len(rest))
                if not words:
                    raise typer.BadParameter("--options takes one word or more")
                joined += [f"--options={word}" for word in rest[:words]]
                del rest[:words]
        return list(super().parse_args(ctx, joined))


@app.command(cls=_Pairs)
def run(
    study: Annotated[
        list[str] | None,
        typer.Argument(help="Names or numbers of studies, or notebooks; none means all."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter", "-p", metavar="NAME VALUE", help="Set a parameter; repeatable."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A bundled model, a folder, or a hub id.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for pages, records and notebooks.")] = Path(
        "simkit-reports"
    ),
    profile: Annotated[Profile | None, typer.Option(help="Size of the run.")] = None,
) -> None:
    """Run studies and write their HTML reports; the last line is the path of the index page.

    With several studies each takes the parameters it has. A study that fails is reported and
    the others still run; the exit code is then 1.
    """
    from simkit import reports

    values: dict[str, Any] = dict(_pair(text) for text in parameter or [])
    values |= {"model": model} if model is not None else {}
    values |= {"profile": profile.value} if profile is not None else {}
    try:
        chosen = [reports.find(name) for name in study] if study else reports.studies()
        plan = _share(chosen, values)
    except (ValueError, FileNotFoundError) as error:
        _complain(error)
        raise typer.Exit(2) from None
    failed = [s.path.stem for s, mine in plan if not _run_one(s, mine, out)]
    if failed:
        typer.secho(f"failed: {', '.join(failed)}", fg="red", err=True)
    try:
        typer.echo(reports.index(out))
    except OSError as error:
        _complain(error)
        raise typer.Exit(1) from None
    raise typer.Exit(1 if failed else 0)


@app.command("list")
def list_studies() -> None:
    """List the studies that travel with simkit, with their parameters and defaults."""
    from simkit import reports

    for study in reports.studies():
        typer.secho(study.path.stem, bold=True, nl=False)
        typer.echo(f"  {study.title}")
        for knob in study.parameters.values():
            typer.echo(f"    {knob.name}: {knob.type} = {knob.default!r}  {knob.help}".rstrip())


@app.command(cls=_Lists)
def score(
    prompts: Annotated[Path, typer.Option(help="The design: a parquet file, a row per prompt.")],
    out: Annotated[Path, typer.Option(help="The parquet file to write, a row per option.")],
    model: Annotated[str, typer.Option(help="A bundled model, a folder, or a hub id.")],
    options: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT...", help="The options: --options yes no; {column} fields are filled."
        ),
    ] = None,
    options_from: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Or: a column of lists of options.")
    ] = None,
    template: Annotated[
        str | None, typer.Option(help=r"The prompt, with {column} fields; \n is a new line.")
    ] = None,
    prompt_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="Where the prompts are if no template is given.")
    ] = "prompt",
    separator: Annotated[str, typer.Option(help="Put between prompt and option.")] = " ",
    form: Annotated[
        list[str] | None,
        typer.Option(metavar="OPTION=TEXT", help="A further spelling of an option; repeatable."),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="text, letters or numbers: what is scored; labels need {options} in the template."
        ),
    ] = "text",
    orders: Annotated[
        str,
        typer.Option(
            help="Orders in which {options} are listed: given, cyclic (averaged), or auto, which "
            "is cyclic for letters and numbers."
        ),
    ] = "auto",
    chat: Annotated[
        bool, typer.Option("--chat", help="Lay the prompts out by the model's chat template.")
    ] = False,
    system: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="System text of a chat; {column} fields are filled."),
    ] = None,
    fold_system: Annotated[
        bool, typer.Option("--fold-system", help="Put the system text into the user's turn.")
    ] = False,
    answer_prefix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="How a chat's answer begins: Answer:")
    ] = None,
    bare: Annotated[bool, typer.Option(help="Leave the design's own columns out.")] = False,
    cache: Annotated[
        Path | None,
        typer.Option(help="A file to keep scores in: a run that was stopped goes on from there."),
    ] = None,
    batch: Annotated[int, typer.Option(help="Prompts that are worked on together.")] = 8_192,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    revision: Annotated[str | None, typer.Option(help="A revision on the hub.")] = None,
) -> None:
    """Score options after every prompt of a parquet file that may be larger than memory.

    The last line is the path of the result: a row per prompt and option, with its log-probability
    and belief. It is there when all of it is.
    """
    from simkit import scoring
    from simkit.scoring.bulk import stream

    try:
        if bool(options) == bool(options_from):
            raise ValueError("give --options TEXT... or --options-from COLUMN, one of the two")
        how: dict[str, Any] = {
            "options": options_from or options,
            "template": None if template is None else template.replace("\\n", "\n"),
            "prompt": prompt_column,
            "separator": separator.replace("\\n", "\n"),
            "forms": _forms(form or []),
            "layout": layout,
            "orders": None if orders == "given" else orders,
            "chat": _chat(chat, system, fold_system, answer_prefix),
            "bare": bare,
            "rows": batch,
        }
        count = stream.check_parquet(prompts, out, **how)  # before a large model is read
        lm = scoring.load(model, device=device, dtype=dtype, revision=revision, cache=cache)
        with _bar(count) as show, _warnings_in_words():
            done = stream.score_parquet(lm, prompts, out, progress=show, **how)
    except (ValueError, OSError) as error:
        _complain(error)
        raise typer.Exit(2) from None
    typer.echo(_told(done), err=True)
    typer.echo(out)


data = typer.Typer(help="Human data and recorded models: what there is, and getting it.")
app.add_typer(data, name="data")


@data.command("list")
def list_data() -> None:
    """The data sets: name, size, licence, title."""
    from simkit import datasets

    for name in datasets.names():
        card = datasets.card(name)
        size = f"{card.rows:,} x {card.columns}" if card.rows else "your own download"
        typer.echo(f"{name:18} {size:18} {card.licence:28} {card.title}")


@data.command("fetch")
def fetch_data(
    name: Annotated[
        list[str] | None, typer.Argument(help="Names; none means all that can be fetched.")
    ] = None,
) -> None:
    """Fetch data sets into the cache; each file is checked. Prints their paths."""
    from simkit import datasets

    failed = False
    for one in name or [n for n in datasets.names() if n != "wvs7"]:
        try:
            for path in datasets.fetch(one):
                typer.echo(path)
        except (ValueError, OSError) as error:
            _complain(error)
            failed = True
    if failed:
        raise typer.Exit(1)


@data.command("check")
def check_data() -> None:
    """Whether each file is here, altered or missing; the exit code is 1 if one is altered."""
    from simkit import datasets

    table = datasets.check()
    typer.echo(table.to_string(index=False))
    if (table["state"] == "altered").any():
        raise typer.Exit(1)


@app.command("train-world")
def train_world(
    size: Annotated[str, typer.Option(help="Size of the model: small, or a larger one.")] = "small",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the model; glassbox-SIZE if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of text, order and weights.")] = 1,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; the size's own.")] = None,
    init: Annotated[
        Path | None, typer.Option(help="An earlier model of this size to start from.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Processor threads; all of them.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
) -> None:
    """Train the glass-box model from the worlds' text; a stopped training is taken up again.

    At the end the model is calibrated against the worlds and its card written.
    """
    from simkit import training

    folder = Path(f"glassbox-{size}") if out is None else out
    try:
        made = training.pretrain(
            size, folder, seed=seed, steps=steps, init=init, threads=threads, device=device
        )
        training.write_card(made)
        typer.echo(made)
    except ValueError as error:
        _complain(error)
        raise typer.Exit(2) from None


def _forms(given: list[str]) -> dict[str, list[str]]:
    """Spellings by option, from words such as yes=YES."""
    forms: dict[str, list[str]] = {}
    for text in given:
        option, equals, form = text.partition("=")
        if not equals or not option or not form:
            raise ValueError(f"--form takes OPTION=TEXT, got {text!r}")
        forms.setdefault(option, []).append(form)
    return forms


def _chat(chat: bool, system: str | None, fold: bool, prefix: str | None) -> Any:
    """A chat if anything of one was asked for, else False."""
    from simkit.scoring import Chat

    if not chat and system is None and not fold and prefix is None:
        return False
    return Chat(system, "Answer:" if prefix is None else prefix, fold_system=fold)


class AdapterStudy(StrEnum):
    """Studies whose adapters ship: each is a module of `simkit.finetune` with `train_adapters`."""

    population = "population"
    alignment = "alignment"


@app.command("train-adapters")
def train_adapters(
    study: Annotated[AdapterStudy, typer.Argument(help="Whose adapters.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder; if not given, where those that ship lie.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="A bundled model, a folder, or a hub id.")
    ] = "glassbox",
    seed: Annotated[int, typer.Option(help="Seed of samples, splits and training.")] = 1,
    profile: Annotated[Profile, typer.Option(help="full: all that ship.")] = Profile.full,
) -> None:
    """Train the adapters that a study's notebook loads; a stopped training is taken up again.

    Run it after the glass box was trained anew: an adapter fits the weights that it was made on
    and no others. Prints the folders.
    """
    from importlib import import_module

    from simkit import resources

    try:
        module = import_module(f"simkit.finetune.{study.value}")
        folder = resources.adapters(study.value) if out is None else out
        for path in module.train_adapters(folder, model=model, seed=seed, profile=profile.value):
            typer.echo(path)
    except (ValueError, OSError, ImportError) as error:
        _complain(error)
        raise typer.Exit(2) from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"-p takes NAME VALUE, got {text!r}")
    return name, value


def _share(chosen: list[Study], values: dict[str, Any]) -> list[tuple[Study, dict[str, Any]]]:
    """Each study with the values that it has parameters for; ValueError for a name none has."""
    from simkit.reports import legal

    nobody = [name for name in values if not any(name in s.parameters for s in chosen)]
    if nobody:
        known = dict.fromkeys(name for s in chosen for name in s.parameters)
        raise ValueError(
            f"{', '.join(s.path.stem for s in chosen)}: no parameter "
            f"{', '.join(map(repr, nobody))}; there are {', '.join(known) or 'none'}"
        )
    mine = [{n: v for n, v in values.items() if n in s.parameters} for s in chosen]
    return [(s, legal(s, m)) for s, m in zip(chosen, mine, strict=True)]


def _run_one(study: Study, values: dict[str, Any], out: Path) -> bool:
    from simkit import reports

    try:
        reports.run(study.path, values, out=out)
    except Exception as error:  # any kind: the other studies still run
        _complain(error)
        return False
    return True


@contextmanager
def _warnings_in_words() -> Iterator[None]:
    """Warnings as lines on stderr, without the place in the code that Python adds."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: typer.secho(
            f"warning: {message}", fg="yellow", err=True
        )
        yield


@contextmanager
def _bar(prompts: int) -> Iterator[Callable[[Streamed], None]]:
    """A bar on stderr, where that is a terminal."""
    from tqdm import tqdm

    with tqdm(total=prompts, unit=" prompts", disable=None, file=sys.stderr) as bar:

        def show(done: Streamed) -> None:
            bar.update(done.prompts - bar.n)
            bar.set_postfix_str(_saved(done))

        yield show


def _saved(done: Streamed) -> str:
    """How much the prefix tree and the store have saved, as far as that is known."""
    parts = [f"{done.saved:.1%} of tokens saved"] if done.saved == done.saved else []
    parts += [f"{done.stored:,} from the store"] if done.stored else []
    return ", ".join(parts)


def _told(done: Streamed) -> str:
    """The whole run in a line or two."""
    rate = done.prompts / max(done.seconds, 1e-9)
    lines = [f"{done.prompts:,} prompts in {done.seconds:.1f} s, {rate:,.0f} prompts per second"]
    if done.stored:
        lines.append(f"{done.stored:,} prompts came from the store")
    if done.saved == done.saved:
        lines.append(
            f"{done.positions:,.0f} tokens computed where one by one takes {done.plain:,.0f}: "
            f"{done.saved:.1%} saved"
        )
    return "\n".join(lines)


def _complain(error: Exception) -> None:
    """The error on stderr; for a cell that failed, its traceback as the notebook shows it."""
    lines = getattr(error, "traceback", None)
    plain = os.environ.get("NO_COLOR") or not sys.stderr.isatty()
    text = "\n".join(lines) if lines and not plain else str(error).strip()
    text = "\n".join([text or repr(error), *getattr(error, "__notes__", ())])
    typer.secho(text, fg=None if lines else "red", err=True)
