"""Valid calls of figures, worlds, pages, data sets and fine-tuning, for the fuzzer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import simkit as sk
from simkit import datasets, plots, reports, scoring, training
from simkit.resources import adapters
from simkit.scoring import LocalModel
from simkit.worlds import concepts, market, scm, survey
from simkit.worlds.market import brands
from tests.training.conftest import tiny_model, tiny_tokenizer

mpl.use("agg")
Call = tuple[Callable[..., Any], dict[str, Any]]
CHAT = (
    "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)
FIGURE = Figure(figsize=(3, 2))


@cache
def tiny() -> LocalModel:
    return tiny_model()


@cache
def chatting() -> LocalModel:
    """The tiny model with a chat template."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHAT
    return LocalModel("chatting", tiny().network, tokenizer)


def axes() -> Any:
    FIGURE.clear()
    return FIGURE.add_subplot()


def drawn() -> pd.DataFrame:
    """One frame with the columns of every figure: numbers, and names that tell parts apart."""
    n = np.arange(1.0, 7.0)
    drawn = ("estimate", "share", "error", "exact", "belief", "target", "achieved", "internal",
             "population", "signed", "consensus", "marginal", "structural", "expected",
             "sampled", "power", "power_people", "power_low", "power_high")  # fmt: skip
    places = ("runs", "price", "k", "documents", "dose", "value", "temperature", "respondents",
              "slope", "width", "groups", "budget")  # fmt: skip
    held: dict[str, Any] = {**dict.fromkeys(drawn, 0.1 * n), **dict.fromkeys(places, n)}
    held |= {"low": 0.1 * n - 0.05, "high": 0.1 * n + 0.05, "floor": 0.05}
    labels = ("method", "design", "name", "strategy", "covariate", "source", "pair", "way",
              "remedy", "technique", "information", "margin", "kind")  # fmt: skip
    return pd.DataFrame({**held, **{name: list("uvwuvw") for name in labels}})


FIGURES: dict[str, tuple[str, dict[str, Any]]] = {
    "ablation": ("k error", {}),
    "answer_shares": ("method value share", {"unit": "points"}),
    "balance_plot": ("covariate estimate low high strategy", {}),
    "demand_curves": ("strategy price estimate low high", {"unit": "dollars"}),
    "dose_curve": ("dose estimate source low high", {"ylabel": "y", "half": 2.0}),
    "elicited_covariates": ("covariate price estimate strategy", {}),
    "error_curves": ("method runs estimate low high expected", {"ylabel": "y"}),
    "factors": ("design method estimate low high", {}),
    "fit_dots": ("method estimate low high floor", {"xlabel": "x"}),
    "gains": ("estimate low high kind name", {}),
    "learning": ("respondents estimate low high", {"levels": {"logit": 0.2}, "ylabel": "y"}),
    "margins": ("margin value target achieved", {}),
    "model_pairs": ("pair way estimate low high", {"xlabel": "x"}),
    "penalty_map": ("slope width estimate", {"label": "RMSE"}),
    "power": ("budget power power_people power_low power_high", {}),
    "quadrant": ("technique marginal structural", {}),
    "repeated_intervals": ("method estimate low high", {"truth": 0.3}),
    "scaling": ("documents error strategy target", {}),
    "shifts": ("information method estimate low high", {}),
    "structure_bars": ("name estimate low high floor", {}),
    "subgroup_lines": ("population groups estimate low high", {}),
    "temperatures": ("method temperature estimate sampled", {"ylabel": "y", "names": True}),
    "trade_off": ("remedy signed consensus", {}),
    "unity": ("internal population source", {}),
}


def _figure(name: str) -> Call:
    columns, more = FIGURES[name]
    frame = drawn()[columns.split()]
    text = {"scaling": "target", "subgroup_lines": "population"}.get(name)
    if text:
        frame[text] = list("xyzxyz")
    if name == "elicited_covariates":
        FIGURE.clear()
        return plots.elicited_covariates, {"frame": frame, "axes": FIGURE.subplots(1, 3), **more}
    return getattr(plots, name), {"frame": frame, "ax": axes(), **more}


def _pair() -> Call:
    one = pd.DataFrame(np.eye(3) + 0.2, columns=list("ijk"), index=list("ijk"))
    return plots.correlogram_pair, {"humans": one, "simulated": one, "ax": axes(), "numbers": True}


def _with_truth() -> Call:
    frame = drawn()[["method", "estimate"]]
    truth = frame[["estimate"]]
    return plots.with_truth, {"frame": frame, "truth": truth, "by": "method", "name": "truth"}


def notebook() -> str:
    cells = [nbformat.v4.new_markdown_cell("# Title\n## Part"), nbformat.v4.new_code_cell("x = 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), "notebook.ipynb")
    return "notebook.ipynb"


def _parquet() -> str:
    path = Path("design.parquet")
    if not path.exists():
        pd.DataFrame({"prompt": ["a", "b"], "who": ["x", "y"]}).to_parquet(path)
    return str(path)


@cache
def trained_on() -> pd.DataFrame:
    design = pd.DataFrame({"context": ["Old.", "Young.", "Old."]}, index=list("pqr"))
    answers = pd.DataFrame({"q": ["yes", "no", "yes"]}, index=list("pqr"))
    return training.examples(design, {"q": sk.Question("Agree?", ["no", "yes"])}, answers)


STEPS: dict[str, Any] = {"steps": 1, "batch": 2, "rank": 1}


def _adapter() -> str:
    """A folder with an adapter of the tiny model: another call on it is refused, not trained."""
    if not Path("adapter").exists():
        training.finetune(tiny(), trained_on(), "adapter", **STEPS)
    return "adapter"


def _cars() -> pd.DataFrame:
    kinds: dict[str, Any] = {"fuel": "gasoline", "type": "regcar", "price": 4.0, "range": 250,
                             "size": 2, "acc": 4.0, "cost": 4, "station": 0.3, "space": 1.0,
                             "pollution": 0.4, "speed": 95}  # fmt: skip
    return pd.DataFrame({f"{n}{k}": [v] * 2 for k in range(1, 7) for n, v in kinds.items()})


def _run(study: Any, parameters: Any) -> Any:
    """A run of a study that is refused before anything runs."""
    if isinstance(parameters, dict):
        parameters = {**parameters, "no_such": 1}
    elif parameters is None:
        parameters = {"no_such": 1}
    return reports.run(study, parameters, out="pages")


def _sweep(study: Any, grid: Any, parameters: Any) -> Any:
    """A sweep that is refused before anything runs."""
    if isinstance(grid, dict):
        grid = {**grid, "no_such": [1]}
    return reports.sweep(study, grid, parameters, out="pages")


def _check(values: Any, seed: Any) -> None:
    reports.check(values, seed=seed)


# Calls that are refused whatever else they are given, and how.
REFUSED = {"reports.run": "no_such", "reports.sweep": "no_such", "load": "no such model"}


def more_calls() -> dict[str, Callable[[], Call]]:
    """name -> builder of a valid call."""
    persons = survey.respondents(3, 1)
    few = concepts.individuals(3, 1)
    colour = lambda: concepts.design("colour", few, about=concepts.WORDS[:2])  # noqa: E731
    asked = lambda: survey.design(persons, demographics=["age"])  # noqa: E731
    store = lambda: market.design(market.PRODUCTS[:1], [1.0, 2.0])  # noqa: E731
    return {
        **{f"plots.{name}": lambda n=name: _figure(n) for name in FIGURES},
        "plots.correlogram_pair": _pair,
        "plots.with_truth": _with_truth,
        "chat_prompts, with a template": lambda: (sk.chat_prompts, {
            "model": chatting(), "prompts": ["a", "b"],
            "chat": sk.Chat(system="Be {who}.", prefix="Answer:"),
            "design": pd.DataFrame({"who": ["brief", "kind"]})}),
        "believe, chat": lambda: (sk.believe, {
            "model": chatting(), "question": sk.Question("Agree?", ["yes", "no"]),
            "design": pd.DataFrame({"context": ["a", "b"]}), "chat": sk.Chat(), "least_mass": 0}),
        "load": lambda: (sk.load, {
            "source": "no such model", "device": "cpu", "dtype": "auto", "path": "auto"}),
        "score_parquet": lambda: (sk.score_parquet, {
            "model": sk.MockModel(lambda p: {"yes": 0.5, "no": 0.5}), "source": _parquet(),
            "out": "beliefs.parquet", "options": ["yes", "no"], "template": "{prompt} Answer:",
            "least_mass": 0.5, "rows": 10}),
        "write": lambda: (scoring.write, {
            "model": tiny(), "prompts": ["a", "b"], "seeds": [1, 2], "max_tokens": 2, "stop": "\n",
            "temperature": 0.9}),
        "as_recorded": lambda: (scoring.as_recorded, {
            "model": tiny(), "prompt": "Q:", "text": " yes", "top": 3}),
        "surface_forms": lambda: (scoring.surface_forms, {
            "alternatives": {"a": ["A", "a."], "b": "B"}}),
        "reports.check": lambda: (_check, {
            "values": {"seed": 3, "__annotations__": {"seed": int}}, "seed": range(10)}),
        "Study.values": lambda: (reports.find("quickstart").values, {"arguments": {}}),
        "reports.run": lambda: (_run, {
            "study": "quickstart", "parameters": {"model": "glassbox"}}),
        "reports.sweep": lambda: (_sweep, {
            "study": "quickstart", "grid": {"seed": [1, 2]}, "parameters": {"model": "glassbox"}}),
        "export_html": lambda: (reports.export_html, {
            "study": notebook(), "out": "page.html", "failure": ""}),
        "datasets.card": lambda: (datasets.card, {"name": "anes96"}),
        "datasets.load": lambda: (datasets.load, {"name": "anes96", "path": None, "fetch": False}),
        "datasets.fetch": lambda: (datasets.fetch, {"name": "anes96"}),
        "car_vehicles": lambda: (sk.personas.car_vehicles, {
            "frame": _cars()}),
        "finetune": lambda: (training.finetune, {
            "model": tiny(), "examples": trained_on(), "out": _adapter(), **STEPS,
            "method": "lora", "alpha": 16.0, "dropout": 0.0, "targets": "all-linear",
            "learning_rate": 2e-3, "schedule": "cosine", "warmup": 0.05,
            "epochs": 3.0, "micro": None, "every": None, "patience": 5,
            "numeric": None, "seed": 0}),
        "load_adapter": lambda: (training.load_adapter, {"base": tiny(), "folder": _adapter()}),
        "load_with_base": lambda: (training.load_with_base, {
            "folder": adapters("alignment") / "sft"}),
        "market.covariate_profiles": lambda: (market.covariate_profiles, {
            "names": ["income", "season"], "product": market.PRODUCTS[0], "usual_price": 3.0}),
        "market.announce": lambda: (market.announce, {
            "frame": store().assign(experiment=next(iter(market.EXPERIMENTS)))}),
        "market.with_context": lambda: (market.with_context, {"frame": store()}),
        "brands.with_context": lambda: (brands.with_context, {
            "frame": brands.design([24], [30]).drop(columns="context")}),
        "brands.efficiency": lambda: (brands.efficiency, {"design": brands.design([24], [30, 33])}),
        "survey.question": lambda: (survey.question, {"name": next(iter(survey.QUESTIONS))}),
        "survey.exact": lambda: (survey.exact, {
            "design": asked(), "ask": next(iter(survey.QUESTIONS))}),
        "survey.marginal": lambda: (survey.marginal, {"ask": next(iter(survey.QUESTIONS))}),
        "survey.profiles": lambda: (survey.profiles, {"names": ["age"]}),
        "survey.with_context": lambda: (survey.with_context, {"frame": asked()}),
        "survey.item_correlation": lambda: (survey.item_correlation, {
            "population": survey.POPULATIONS["general"], "level": "individual"}),
        "survey.latent_share": lambda: (survey.latent_share, {
            "population": survey.POPULATIONS["general"]}),
        "concepts.question": lambda: (concepts.question, {"ask": "animal"}),
        "concepts.design": lambda: (concepts.design, {
            "ask": "colour", "persons": few, "about": list(concepts.WORDS[:2]), "wordings": 1}),
        "concepts.exact": lambda: (concepts.exact, {"design": colour(), "ask": "colour"}),
        "concepts.with_context": lambda: (concepts.with_context, {
            "frame": colour(), "ask": "colour"}),
        "concepts.answers": lambda: (concepts.answers, {
            "persons": few, "ask": "colour", "seed": 1, "blocks": 1,
            "about": list(concepts.WORDS[:2])}),
        "Variable": lambda: (scm.Variable, {
            "name": "v", "values": ("x", "y"), "table": np.array([0.4, 0.6]), "parents": ()}),
    }  # fmt: skip
