"""A valid call of each public function, small enough to be made thousands of times."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import simkit as sk
from simkit import estimators as est
from simkit import personas, reports
from simkit.training import NumericLoss, examples, split_respondents
from simkit.worlds import concepts, market, survey
from simkit.worlds.market import brands
from tests.fuzz_more import more_calls

Call = tuple[Callable[..., Any], dict[str, Any]]
N, K = 12, 3
OPTIONS = ["a", "b", "c"]
# Not in the table, and why: module -> reason -> names.
RESULT, CONSTANT, TAKES_NOTHING = "only functions make it", "no function", "it takes nothing"
LEFT_OUT: dict[str, dict[str, str]] = {
    "simkit": {RESULT: "BoundaryError Survey", CONSTANT: "__version__", TAKES_NOTHING: "bundled"},
    "simkit.scoring": {
        RESULT: "BoundaryError LocalModel LowMassWarning Recorded Scores",
        CONSTANT: "Model",
        TAKES_NOTHING: "bundled",
    },
    "simkit.personas": {
        RESULT: "CheckAll Interviews Plan Raking Selections", CONSTANT: "ANES96 CAR",
        TAKES_NOTHING: "car_choice",
    },
    "simkit.plots": {CONSTANT: "PALETTE", TAKES_NOTHING: "style"},
    "simkit.reports": {RESULT: "Study", TAKES_NOTHING: "studies", "it ends a notebook": "go_on"},
    "simkit.datasets": {
        RESULT: "Card DataError File", TAKES_NOTHING: "cache_folder check names",
    },
    "simkit.training": {
        RESULT: "Adapted", "it takes a package that need not be there": "quantise",
        "it takes minutes": "calibrate pretrain steps_within write_card",
    },
}  # fmt: skip


def _survey_file() -> str:
    text = "sex,trust,q1,q2,w,home,x\n1,4,1,0,1,a,1\n2,9,0,1,2,a,2\n2,99,1,1,0.5,b,3\n"
    Path("town.csv").write_text(text, encoding="utf-8")
    return "town.csv"


def rule(prompt: str) -> dict[str, float]:
    """Of a mock model: any option gets the same mass, whatever is asked."""
    return {"yes": 0.4, "no": 0.2, "A": 0.2, "B": 0.4}


@cache
def glassbox() -> Any:
    return sk.load("glassbox")


def runs() -> dict[str, Any]:
    """choice, belief (N, K) and the condition (N,) of the same runs."""
    rng = np.random.default_rng(0)
    belief = rng.dirichlet([1.0, 2.0, 3.0], N)
    choice = np.eye(K)[[rng.choice(K, p=p) for p in belief]]
    return {
        "choice": pd.DataFrame(choice, columns=OPTIONS),
        "belief": pd.DataFrame(belief, columns=OPTIONS),
        "condition": pd.Series(np.repeat([0, 1, 2], 4)),
    }


def truth() -> pd.DataFrame:
    shares = np.array([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.3, 0.3, 0.4]])
    return pd.DataFrame(np.repeat(shares[:3], 4, axis=0), columns=OPTIONS)


def asked() -> dict[str, Any]:
    """price, buys, cluster, weights, products of prompts."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({
        "price": np.tile([1.0, 2.0, 3.0], 8), "cluster": np.repeat(np.arange(8), 3),
        "products": np.repeat(["x", "y"], 12), "weights": rng.random(24) + 0.5,
    })  # fmt: skip
    frame["buys"] = 1 / (1 + np.exp(frame["price"] - 2 + rng.normal(0, 0.2, 24)))
    return dict(frame.items())


def people() -> dict[str, Any]:
    """human answers, beliefs about them, values, weights, cluster, by."""
    rng = np.random.default_rng(2)
    return {
        "human": pd.Series(rng.integers(1, 4, N).astype(float)),
        "belief": pd.DataFrame(rng.dirichlet([1, 1, 1], N), columns=[1.0, 2.0, 3.0]),
        "values": [1.0, 2.0, 3.0],
        "weights": pd.Series(rng.random(N) + 0.5), "cluster": pd.Series(np.arange(N) // 2),
        "strata": pd.Series(np.arange(N) // 4),
        "by": pd.Series(np.repeat(["u", "v"], N // 2)),
    }  # fmt: skip


def _mixed(name: str = "prediction", **more: Any) -> dict[str, Any]:
    """Of 12 people 6 were asked; beliefs about all, weights, clusters."""
    who = people()
    asked = pd.Series([True, True, False] * 4)
    return {"y": who["human"].where(asked), name: who["belief"], "labelled": asked,
            "weights": who["weights"], "cluster": who["cluster"], **more}  # fmt: skip


def items(seed: int = 3, n: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 1))
    x = np.clip(np.round(3 + common + rng.normal(size=(n, 3))), 1, 5)
    return pd.DataFrame(x, columns=["i", "j", "k"])


def tidy(values: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    belief = rng.dirichlet([1, 2], 6)
    frame = pd.DataFrame({
        "prompt_id": np.repeat(np.arange(6), 2), "product": np.repeat(["x", "y"], 6),
        "price": np.repeat([1.0, 2.0, 3.0] * 2, 2), "wording": 0, "option_id": [0, 1] * 6,
        "option": ["yes", "no"] * 6, "belief": belief.ravel(), "logprob": np.log(belief.ravel()),
        "valid_mass": 1.0,
    })  # fmt: skip
    return frame.assign(value=[0.0, 1.0] * 6) if values else frame


def elicited() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame({
        "product": np.repeat(["x", "y"], 12), "price": np.tile([1.0, 2.0, 3.0], 8),
        "wording": np.tile(np.repeat(np.arange(4), 3), 2), "heat": rng.normal(size=24),
        "heat_sd": 1.0, "share": rng.random(24) + 0.5,
    })  # fmt: skip


def listed() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    prompt, order, place = (a.ravel() for a in np.indices((4, 2, 2)))
    option = (place + order) % 2
    share = rng.random((4, 2))[prompt, order]
    return pd.DataFrame({
        "prompt_id": prompt, "order": order, "position": place, "option_id": option,
        "option": np.array(["yes", "no"])[option], "wording": prompt // 2,
        "belief": np.where(option == 0, share, 1 - share),
    })  # fmt: skip


def design() -> pd.DataFrame:
    return pd.DataFrame({
        "context": ["I am a baker.", "I am a judge.", "I am a nurse."], "price": [1.0, 2.5, 3.0],
        "age": [30, 41, 52], "who": ["p", "q", "r"], "weight": [1.0, 2.0, 1.5],
    }, index=["p", "q", "r"])  # fmt: skip


def question(template: str | None = None) -> sk.Question:
    return sk.Question("Buy at {price}?", ["yes", "no"], values=[1, 0], template=template)


def mock() -> sk.MockModel:
    return sk.MockModel(rule)


def lab(n: int = 6) -> np.ndarray:
    return np.random.default_rng(7).normal(50, 10, (n, 3, 3))


def groups(seed: int) -> dict[str, pd.DataFrame]:
    frame = items(seed)
    return {"g": frame.iloc[:20], "h": frame.iloc[10:], "all": frame}


def _code_book() -> Any:
    age = personas.Attribute(personas.Numbers(18, 90), third="aged {text}", second="aged {text}")
    texts = {"m": "man", "f": "woman"}
    sex = personas.Attribute(texts, "Are you?", third="a {text}", second="a {text}")
    return personas.CodeBook({"age": age, "sex": sex})


def _margin() -> Any:
    return personas.Margin("sex", {"m": 0.4, "f": 0.6}, source="made up")


def _population() -> pd.DataFrame:
    return pd.DataFrame({"sex": ["m", "f"] * 4, "age": range(20, 28), "weight": [1.0, 2.0] * 4})


def _battery() -> Any:
    item = personas.Item("q", sk.Question("Agree?", ["yes", "no"]))
    return personas.Battery([item, personas.Item("r", sk.Question("Sure?", ["yes", "no"]))])


def _believe(q: sk.Question, d: pd.DataFrame) -> pd.DataFrame:
    return sk.believe(mock(), q, d)


SEEDS = {"rng": 1, "n_boot": 3, "alpha": 0.1}
PAIR = {"humans": lambda: items(), "simulated": lambda: items(8)}


def _rows(**more: Any) -> dict[str, Any]:
    return {**runs(), **more}


def _demand(**more: Any) -> dict[str, Any]:
    return {**asked(), "alpha": 0.1, **more}


def _human(*names: str, **more: Any) -> dict[str, Any]:
    held = people()
    return {**{n: held[n] for n in names or held}, **SEEDS, **more}


def _shares(**more: Any) -> dict[str, Any]:
    held = runs()
    price = pd.DataFrame({"a": np.tile([1.0, 2, 3], 4), "b": np.tile([2.0, 1, 4, 2], 3)})
    held = {"shares": held["belief"], "price": price, "cluster": pd.Series(np.arange(N))}
    return {**held, "alpha": 0.1, **more}


def _features(**more: Any) -> dict[str, Any]:
    frame = pd.DataFrame({"age": np.arange(N) % 5 + 20.0, "sex": ["m", "f", "m"] * 4})
    return {"answers": pd.Series(["a", "b", "c"] * 4), "features": frame, "new": frame.iloc[:3],
            "options": OPTIONS, "pseudo": 0.5, **more}  # fmt: skip


def estimator_calls() -> dict[str, Callable[[], dict[str, Any]]]:
    """Arguments of a valid call, by the name of the estimator."""
    p, q = [0.2, 0.3, 0.5], [0.5, 0.25, 0.25]
    wide = {"weights": pd.Series(np.ones(30)), "cluster": pd.Series(np.arange(30) // 2),
            "strata": pd.Series(np.arange(30) // 10), "method": "pearson", **SEEDS}  # fmt: skip
    both = lambda **more: {"humans": items(), "simulated": items(8), **wide, **more}  # noqa: E731
    answers = np.random.default_rng(9).integers(0, 2, (8, 4)).astype(float)
    covariates = lambda: pd.DataFrame({"heat": np.tile([0.0, 1.0, 3.0, 2.0], 6)})  # noqa: E731
    audit = lambda **m: {"frame": elicited(), "covariates": ["heat"], "treatment": "price",  # noqa: E731
                         "weights": "share", "cluster": ["product", "wording"], **m}  # fmt: skip
    fields = {
        "as_good_as": lambda: {"humans": items(), "distance": "rmsd", "n_boot": 4, "rng": 0,
                               "weights": pd.Series(np.arange(30) % 3 + 1.0),
                               "errors": pd.DataFrame(
                                   {"estimate": [0.3], "low": [0.2], "high": [0.4]}, ["m"])},
        "balance_audit": lambda: audit(strata="product"),
        "belief_at_temperature": lambda: {"belief": np.array([p, q]), "temperature": 0.7,
                                          "logprob": False},
        "by_groups": lambda: {"frame": items(), "groups": items() > 2, "items": ["i", "j"]},
        "chao1": lambda: {"sizes": [[3, 2, 1, 1], [4, 3, 0, 0]]},
        "compare_factors": lambda: both(factors=1),
        "compare_marginals": lambda: both(
            scales={"i": (1, 5), "j": (1, 5)}, metrics=["kl", "tv", "nemd"], smoothing=0.01
        ) | {"method": None},
        "compare_matrices": lambda: {"first": items().corr(), "second": items(8).corr()},
        "compare_networks": lambda: both(edge=0.1, shrink=0.05),
        "compare_selections": lambda: {
            "humans": items().clip(0, 1), "simulated": items(8).clip(3, 4) - 3, "none": None,
            "weights": pd.Series(np.ones(30)), "cluster": np.arange(30) // 2,
            "strata": np.arange(30) // 10,
            "simulated_weights": [1.0] * 30, "simulated_cluster": np.arange(30) // 2,
            "same_people": True, "alpha": 0.1,
        },
        "compare_structure": lambda: both(splits=2, permutations=3, least=3, constant="zero"),
        "conditional_logit": lambda: _shares(),
        "correlation_matrix": lambda: {"frame": items(), "method": "spearman",
                                       "weights": pd.Series(np.ones(30))},
        "coverage": lambda: {"simulate": lambda r: r.normal(size=5), "truth": 0.0, "seed": 1,
                             "estimate": lambda x: (x.mean() - 1, x.mean() + 1), "repetitions": 3},
        "crp_clusters": lambda: {"answers": answers, "prior": 0.2, "concentration": 1.0,
                                 "by": ["u", "v"] * 4, "sweeps": 6, "burn_in": 1, "chains": 2,
                                 "start": "alone", "alpha": 0.1, "rng": 0},
        "curve_error": lambda: _demand(truth=asked()["price"] / 10),
        "delta_e": lambda: {"lab_1": lab()[0], "lab_2": lab()[1]},
        "demand_curve": lambda: {
            "price": asked()["price"], "buys": asked()["buys"], "weights": asked()["weights"],
            "groups": asked()["products"], "cluster": asked()["cluster"],
        },
        "difference_rate": lambda: _rows(sizes=[1, 2], alpha=0.1, rng=0),
        "dose_response": lambda: {"values": lab()[0], "doses": [0, 1, 2], "baseline": [50.0] * 3},
        "drawn_fit": lambda: _human("human", "belief", "values", metrics=["kl", "rmse"],
                                    smoothing=0.1, repetitions=3, temperature=1.0)
        | {"n_boot": None},
        "efficiency_factor": lambda: _rows(tokens=np.arange(N) + 5, extra_tokens=np.ones(N),
                                           over="runs", cluster=np.arange(N), alpha=0.1),
        "elicited_curve": lambda: audit(by=["product"], alpha=0.1),
        "equivalence_test": lambda: _rows(margin=0.2, alpha=0.1),
        "expected_delta_e": lambda: {"belief": np.tile([p, q], (4, 2, 1)), "lab": lab()[0],
                                     "words": ["w0", "w1", "w2", "w3"], "weights": [1, 2, 3, 4]},
        "expected_distance": lambda: {"belief": np.tile([p, q], (4, 2, 1)),
                                      "distance": 1 - np.eye(3),
                                      "items": list("wxyz"), "weights": [1, 2, 3, 4],
                                      "distinct": True},
        "expected_value": lambda: {"table": tidy(values=True), "by": ["product", "price"]},
        "fit_difference": lambda: _human("human", "values", "weights", "cluster", "strata",
                                         first=people()["belief"], second=people()["belief"],
                                         metrics=["kl", "rmse"], smoothing=0.1, statistic="mean")
        | {"rng": None, "n_boot": None},
        "flatness_ratio": lambda: {"blind": -0.5, "truth": -1.0, "quantity": "price",
                                   "covariance": 0.0, "alpha": 0.1},
        "half_dose": lambda: {"values": lab()[0] * [[3], [2], [1]], "doses": [0, 1, 2]},
        "individual_fit": lambda: _human(truth=people()["belief"], statistic="mean",
                                         temperature=0.8)
        | {"rng": None, "n_boot": None},
        "interval_coverage": lambda: {"low": [0.0, 1, 2], "high": [1.0, 2, 3], "truth": 0.5,
                                      "estimate": [0.5, 1.5, 2.5], "names": ["x"]},
        "jensen_shannon": lambda: {"p": p, "q": q},
        "kl_divergence": lambda: {"p": p, "q": q, "smoothing": 0.01},
        "line_of_unity": lambda: {"lab_1": lab(), "lab_2": lab() + 1, "words": ["x", "y", "z"],
                                  "pairs": "all", "permutations": 3, "alpha": 0.1, "rng": 1},
        "logit_belief": lambda: _features(ordered=True),
        "mantel_test": lambda: {"first": items().corr(), "second": items(8).corr(),
                                "permutations": 3, "rng": 0},
        "marginal_belief": lambda: {**_features(), "features": None, "weights": [1.0] * N},
        "marginal_fit": lambda: _human("human", "values", "weights", "cluster", "strata", "by",
                                       simulated=people()["belief"], options=[1.0, 2.0, 3.0],
                                       metrics=["kl", "tv", "nemd"], smoothing=0.1, paired=True),
        "mean_belief": lambda: {"belief": runs()["belief"], "by": runs()["condition"],
                                "weights": [1.0] * N, "cluster": np.arange(N) // 2,
                                "strata": np.arange(N) // 6},
        "mean_choice": lambda: {"choice": runs()["choice"], "by": runs()["condition"],
                                "weights": [1.0] * N, "cluster": np.arange(N) // 2,
                                "strata": np.arange(N) // 6},
        "budget_split": lambda: {"rho": 0.7, "budget": 1000.0, "cost_person": 5.0,
                                 "cost_answer": 0.01, "sd": 2.0, "alpha": 0.1},
        "cross_fitted": lambda: {"predictions": people()["belief"],
                                 "fold": [1.0, 2.0, 3.0, None] * 3},
        "power_curve": lambda: {"rho": 0.7, "budgets": [100.0, 1000.0], "effect": 0.3,
                                "cost_person": 5.0, "cost_answer": 0.01, "sd": 2.0, "alpha": 0.1},
        "mixed_quantile": lambda: _mixed(q=0.4, values=[1.0, 2.0, 3.0], lam=0.5,
                                         missing="constant", alternative="smaller"),
        "mixed_regression": lambda: _mixed(x=np.arange(12.0) % 5, values=[1.0, 2.0, 3.0],
                                           family="linear", missing="constant"),
        "mixed_difference": lambda: _mixed(by=["u", "u", "v", "v"] * 3, values=[1.0, 2.0, 3.0],
                                           cluster=np.repeat([0, 1, 2], 4)),
        "mixed_shares": lambda: _mixed("belief", options=[1.0, 2.0, 3.0], lam=0.5),
        "mixed_mean": lambda: _mixed(values=[1.0, 2.0, 3.0], lam=0.5, missing="constant",
                                     alternative="larger", alpha=0.1),
        "neighbour_belief": lambda: _features(neighbours=2, weights=[1.0] * N),
        "normalised_emd": lambda: {"p": p, "q": q, "values": [1, 2, 5]},
        "optimal_price": lambda: _shares(cost=0.5, brand="a", at=[2.0, 2.0]),
        "own_price_elasticity": lambda: _demand(at=[1.5, 2.0], covariates=covariates()),
        "pairwise_agreement": lambda: {"answers": answers, "by": ["u", "v"] * 4, "alpha": 0.1},
        "population_fidelity": lambda: {"human": np.array([p, q, [0.1, 0.1, 0.8]]),
                                        "simulated": np.array([q, p, [0.2, 0.2, 0.6]]),
                                        "values": [1, 2, 3], **SEEDS},
        "positional_effect": lambda: {"table": listed(), "cluster": "wording", "alpha": 0.1},
        "price_coefficient": lambda: _demand(covariates=covariates()),
        "price_elasticities": lambda: _shares(at=[2.0, 2.0]),
        "rmse_curve": lambda: _rows(truth=truth(), truth_error=truth() / 50, sizes=[1, 2],
                                    repetitions=3, alpha=0.1, rng=0),
        "runs_needed": lambda: _rows(target=[0.1, 0.05], alpha=0.1),
        "share_coverage": lambda: {"belief": runs()["belief"], "runs": 4,
                                   "condition": runs()["condition"], "repetitions": 3, "rng": 0},
        "share_prediction": lambda: {
            "choice": pd.concat([runs()["choice"]] * 2, ignore_index=True),
            "belief": pd.concat([runs()["belief"]] * 2, ignore_index=True),
            "truth": pd.concat([truth(), (1 - truth()) / 2], ignore_index=True),
            "condition": np.repeat(np.arange(6), 4), "sizes": [1, 2], "repetitions": 3,
            "folds": 2, "rng": 0,
        },
        "selection_shares": lambda: {
            "answers": items().clip(3, 4) - 3, "none": None, "alpha": 0.1,
            "weights": pd.Series(np.ones(30)), "cluster": np.arange(30) // 2,
            "strata": np.arange(30) // 10,
        },
        "shift_fit": lambda: _human("weights", "cluster", "strata", "by", before=people()["human"],
                                    after=people()["human"][::-1].to_numpy(),
                                    simulated_before=people()["human"] + 1,
                                    simulated_after=people()["human"] + 2)
        | {"rng": None, "n_boot": None},
        "split_rhat": lambda: {"draws": np.arange(20.0).reshape(2, 10) % 7},
        "spread_ratio": lambda: {"human": items(), "simulated": items(8), "kind": "sd",
                                 "by": ["s", "s", "t"], "paired": True, "alpha": 0.1},
        "srgb_to_lab": lambda: {"rgb": [[0, 10, 255], [1, 2, 3]]},
        "step_test": lambda: _demand(at=1.5, degree=1),
        "subgroup_structure": lambda: {"humans": groups(3), "simulated": groups(8), "splits": 2,
                                       "scales": dict.fromkeys("ijk", (1, 5)), **SEEDS},
        "success_rate": lambda: {"valid_mass": pd.Series([0.9, 0.8, 1.0, 0.7]),
                                 "by": ["u", "u", "v", "v"], "weights": [1, 2, 3, 4],
                                 "strata": ["s", "s", "t", "t"]},
        "temperature_curve": lambda: _human("human", "belief", "values", "weights", "cluster",
                                            "strata", temperatures=[0, 0.5, 1],
                                            metrics=["kl", "rmse"], smoothing=0.1),
        "total_variation": lambda: {"p": p, "q": q},
        "uniform_belief": lambda: {"new": 3, "options": OPTIONS},
        "wasserstein": lambda: {"p": p, "q": q, "values": [1, 2, 5]},
        "wide": lambda: {"table": tidy(), "column": "belief"},
        "willingness_to_pay": lambda: _shares(),
        "demand_curve, a table": lambda: {"data": tidy().query("option_id == 0"),
                                          "cluster": ["product", "wording"]},
        "mean_belief, a table": lambda: {"data": tidy(), "belief": "belief", "by": "product"},
    }  # fmt: skip
    return {
        n: (lambda f=f: {k: v for k, v in f().items() if v is not None}) for n, f in fields.items()
    }


def other_calls() -> dict[str, Callable[[], Call]]:
    """Valid calls of everything else, by a name that says where it lives."""
    table = lambda: sk.believe(mock(), question("{context} {question}"), design())  # noqa: E731
    raw = lambda: sk.believe(mock(), letters(), design(), average=False)  # noqa: E731
    letters = lambda: sk.Question("Which?", ["x", "y"], layout="letters")  # noqa: E731
    pivots = lambda: sk.find_pivots(["I take yes.", "no"], ["yes", "no"], anchors="take")  # noqa: E731
    persons = survey.respondents(3, 1)
    return {
        "Chat": lambda: (sk.Chat, {
            "system": "You shop.", "prefix": "Answer:", "template_args": {}}),
        "MockModel": lambda: (sk.MockModel, {"rule": rule, "name": "m"}),
        "Question": lambda: (sk.Question, {
            "text": "Buy at {price}?", "options": ["yes", "no"], "values": [1, 0],
            "template": "{context} {question}", "separator": " ", "layout": "text",
            "forms": {"yes": ["Yes"]}}),
        "Question.prompts": lambda: (lambda d, template: question(template).prompts(d), {
            "d": design(), "template": "{context} {age} {question}"}),
        "Result": lambda: (sk.Result, {
            "method": "m", "n": 3, "alpha": 0.05, "source": "s", "notes": ("x",),
            "frame": pd.DataFrame({"estimate": [1.0], "std_error": 0.1, "low": 0.8, "high": 1.2})}),
        "at_temperature": lambda: (sk.at_temperature, {"table": table(), "temperature": 0.7}),
        "average_orders": lambda: (sk.average_orders, {"table": raw()}),
        "believe": lambda: (sk.believe, {
            "model": mock(), "question": question("{context} {question}"), "design": design(),
            "orders": "auto", "average": True, "chat": False}),
        "believe, glass box": lambda: (sk.believe, {
            "model": glassbox(), "question": question("{context} {question}"), "design": design()}),
        "Cached": lambda: (sk.Cached, {"model": mock(), "store": "scores.sqlite"}),
        "worlds_of": lambda: (sk.worlds_of, {"model": mock()}),
        "export_gguf": lambda: (sk.export_gguf, {"model": glassbox(), "file": "box.gguf"}),
        "with_chat": lambda: (sk.with_chat, {"model": sk.load(rule), "chat": sk.Chat()}),
        "pilot": lambda: (sk.pilot, {
            "model": mock(), "question": question("{context} {question}"), "design": design(),
            "chat": False, "prompts": 2, "max_tokens": 3, "alpha": 0.1}),
        "chat_prompts": lambda: (sk.chat_prompts, {
            "model": glassbox(), "prompts": ["a", "b"], "design": design()}),
        "count_pivots": lambda: (sk.count_pivots, {"table": pivots()}),
        "describe": lambda: (sk.describe, {
            "design": design(), "code_book": {"age": ["{age} years", "aged {age}"]}}),
        "find_pivots": lambda: (sk.find_pivots, {
            "texts": ["I take yes.", "no"], "alternatives": {"yes": ["yes"], "no": ["no"]},
            "anchors": ["take"]}),
        "belief_at_pivot": lambda: (sk.belief_at_pivot, {
            "model": glassbox(), "prompts": ["Q: ", "Q: "], "texts": ["I take yes.", "no"],
            "pivots": pivots(), "alternatives": ["yes", "no"]}),
        "read_recorded": lambda: (sk.read_recorded, {"payloads": [recorded()]}),
        "belief_recorded": lambda: (sk.belief_recorded, {
            "recorded": sk.read_recorded([recorded()]), "alternatives": ["yes", "no"],
            "pivots": sk.find_pivots(["yes"], ["yes", "no"], anchors=())}),
        "read_survey": lambda: (sk.read_survey, {
            "path": _survey_file(), "book": {"sex": {"labels": {1: "m", 2: "f"}}},
            "missing": {"trust": {99: "refused"}}, "keep": {"trust": [9]},
            "sets": {"news": ["q1", "q2"]}, "weights": "w", "clusters": "home",
            "columns": ["sex", "trust", "q1", "q2", "w", "home"], "encoding": "utf-8"}),
        "sample_choices": lambda: (sk.sample_choices, {"table": table(), "runs": 2, "seed": 1}),
        "sample_runs": lambda: (sk.sample_runs, {
            "model": glassbox(), "question": question("{context} {question}"), "runs": 2,
            "design": design(), "max_tokens": 1, "forced": True, "temperature": 1.0}),
        "score": lambda: (sk.score, {
            "model": mock(), "prompts": ["p", "q"], "options": [" yes", " no"]}),
        "examples": lambda: (examples, {
            "design": design(), "questions": {"q": question("{context} {question}")},
            "answers": pd.DataFrame({"q": ["yes", "no", None]}, index=["r", "q", "p"]),
            "respondent": "who", "weights": "weight", "seed": 1}),
        "split_respondents": lambda: (split_respondents, {
            "ids": ["p", "q", "r"], "fractions": {"train": 0.5, "test": 0.5}, "seed": 1}),
        "NumericLoss": lambda: (NumericLoss, {"weight": 1.0, "slope": 1.0, "width": 0.0}),
        "Attribute": lambda: (personas.Attribute, {
            "values": {"m": "man", "f": "woman"}, "third": "a {text}", "ordered": False}),
        "Numbers": lambda: (personas.Numbers, {"low": 18, "high": 90, "text": str, "step": 1}),
        "CodeBook": lambda: (personas.CodeBook, {
            "source": "s",
            "attributes": {"sex": personas.Attribute({"m": "man"}, third="a {text}")}}),
        "Item": lambda: (personas.Item, {
            "name": "q", "question": question(), "tell": "Said {answer}.", "after": ("r",)}),
        "Battery": lambda: (personas.Battery, {"items": list(_battery().items), "order": "fixed"}),
        "Margin": lambda: (personas.Margin, {
            "variables": "sex", "shares": {"m": 0.4, "f": 0.6}, "source": "s", "unit": "share"}),
        "check_all": lambda: (personas.check_all, {
            "text": "What?", "options": ["a", "b", "c"], "name": "w", "none": "c", "most": 1,
            "wording": "{text} {option}?", "reverse": "No {option}?", "order": "fixed",
            "answers": ["yes", "no"]}),
        "draw": lambda: (personas.draw, {
            "population": _population(), "n": 3, "weight": "weight", "replace": True,
            "by": ["sex"], "seed": 1}),
        "chained_correlation": lambda: (personas.chained_correlation, {
            "believe": _believe, "battery": _battery(), "people": design()}),
        "interview": lambda: (personas.interview, {
            "believe": _believe, "battery": _battery(), "joint": True,
            "seed": 1, "people": design().assign(person=range(3))}),
        "likert": lambda: (personas.likert, {
            "text": "Agree?", "points": 5, "labels": {1: "no", 5: "yes"}}),
        "margin_of": lambda: (personas.margin_of, {
            "people": _population(), "variables": ["sex"], "weight": "weight", "source": "s"}),
        "numeric": lambda: (personas.numeric, {
            "text": "How many?", "low": 0, "high": 10, "step": 2, "unit": "days"}),
        "question_of": lambda: (personas.question_of, {"code_book": _code_book(), "name": "sex"}),
        "rake": lambda: (personas.rake, {
            "margins": [_margin()], "table": _population(), "weight": "weight",
            "tolerance": 1e-6, "max_iterations": 50}),
        "rankings": lambda: (personas.rankings, {
            "believe": _believe, "question": sk.Question("Best?", ["yes", "no", "A"]),
            "people": design().assign(person=range(3)), "places": 2, "ask": "again",
            "then": "And next?"}),
        "read_answers": lambda: (personas.read_answers, {
            "question": sk.Question("Agree?", ["yes", "no"]), "texts": ["yes", "No.", ""]}),
        "render": lambda: (personas.render, {
            "people": _population(), "code_book": _code_book(), "voice": "third",
            "form": "profile", "attributes": ["age", "sex"]}),
        "sampling_plan": lambda: (personas.sampling_plan, {
            "population": _population(), "n": 4, "margins": ["sex"], "weight": "weight"}),
        "selections": lambda: (personas.selections, {
            "believe": _believe, "check": personas.check_all("What?", ["a", "b"]), "orders": 2,
            "people": design().assign(person=range(3)), "ask": "jointly", "seed": 1}),
        "show": lambda: (personas.show, {"name": "s", "text": "Read this.", "after": ["q"]}),
        "caption": lambda: (reports.caption, {"text": "**Figure.**"}),
        "estimate_text": lambda: (reports.estimate_text, {
            "row": {"estimate": 0.5, "low": 0.4, "high": 0.6}, "form": ".2f",
        }),
        "number": lambda: (reports.number, {
            "name": "a", "row": {"estimate": 1.0, "low": 0.5, "high": 2.0}, "claim": "c",
            "verdict": True, "unit": "u", "over": "people"}),
        "within": lambda: (reports.within, {
            "row": {"estimate": 1.0, "low": 0.5, "high": 2.0}, "low": 0.0, "high": 3.0}),
        "record": lambda: (reports.record, {
            "study": "fuzz", "numbers": [{"name": "x", "value": 1.0, "low": 0.5, "high": 1.5,
                                          "claim": "c", "verdict": True}],
            "parameters": {"seed": 1}}),
        "find": lambda: (reports.find, {"study": "quickstart"}),
        "index": lambda: (reports.index, {"out": "pages"}),
        "market.design": lambda: (market.design, {
            "products": market.PRODUCTS[:1], "prices": [1.0, 2.0], "wordings": 2}),
        "market.question": lambda: (market.question, {"name": "buys", "usual_price": 3.0}),
        "market.exact": lambda: (market.exact, {
            "design": market.design(market.PRODUCTS[:1], [1.0, 2.0]), "ask": "buys"}),
        "market.stated": lambda: (market.stated, {
            "frame": market.design(market.PRODUCTS[:1], [1.0, 2.0]), "names": ["rival_price"],
            "profiles": 2, "seed": 1}),
        "market.groceries": lambda: (market.groceries, {"multiples": [0.5, 1.0], "first": 2}),
        "brands.design": lambda: (brands.design, {"cuddles": [24, 27], "snugly": [30]}),
        "brands.exact": lambda: (brands.exact, {"design": brands.design([24], [30, 33]),
                                                "ask": "share"}),
        "survey.respondents": lambda: (survey.respondents, {"n": 3, "seed": 1}),
        "survey.design": lambda: (survey.design, {"people": persons, "demographics": ["age"]}),
        "concepts.individuals": lambda: (concepts.individuals, {"n": 3, "seed": 1}),
        "concepts.consensus": lambda: (concepts.consensus, {"word": concepts.WORDS[0]}),
    }  # fmt: skip


def recorded() -> dict[str, Any]:
    """A chat completion with log-probabilities, as an interface returns it."""
    top = [
        {"token": t, "logprob": v, "bytes": list(t.encode())}
        for t, v in (("yes", -0.1), ("no", -2.5))
    ]
    token = {**top[0], "top_logprobs": top}
    message = {"role": "assistant", "content": "yes"}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "stop",
        "logprobs": {"content": [token]},
    }
    return {"object": "chat.completion", "model": "m", "choices": [choice]}


def calls() -> dict[str, Callable[[], Call]]:
    """name -> builder of a valid call."""
    made = {
        f"est.{name}": (lambda n=name, f=fields: (getattr(est, n.split(",")[0]), f()))
        for name, fields in estimator_calls().items()
    }
    return {**made, **other_calls(), **more_calls()}
