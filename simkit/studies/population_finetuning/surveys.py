"""The surveys of the fine-tuning study: what is told, what is asked, what was answered, who is
held out.

Two populations and a third by loader: buyers of a town that the glass box has not read about
(`ev_survey`, truth known), voters of 1996 (`anes_survey`) and households that chose a vehicle
(`car_survey`). Each is split by respondent; whatever is measured is measured on respondents of
whom no adapter has seen an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from simkit import datasets, estimators
from simkit.personas import (
    ANES96,
    CAR,
    Plan,
    car_choice,
    car_vehicles,
    likert,
    question_of,
    read_answers,
    render,
    sampling_plan,
)
from simkit.questions import Question
from simkit.scoring import LocalModel, believe, write
from simkit.scoring.mass import LEAST_MASS
from simkit.scoring.types import Model
from simkit.training.data import examples, split_respondents, subset
from simkit.types import FloatArray, generator
from simkit.worlds import survey as world

__all__ = [
    "PARTY",
    "SMOOTHING",
    "SPLIT",
    "VOTE",
    "Survey",
    "anes_survey",
    "car_survey",
    "ev_survey",
]

SPLIT = {"train": 0.6, "validation": 0.1, "test": 0.3}
SMOOTHING = 1e-3  # of KL: mass added to every answer
ATTITUDES = ("climate", "gadgets")  # told to the EV survey beside the demographics
# Voters of 1996: how their party is told, and how their vote is asked.
PARTY = "Party, from 0 (strong Democrat) to 6 (strong Republican): {}."
VOTE = f"{ANES96['vote'].ask} (1 = Bill Clinton, 2 = Bob Dole)"
REGISTER = 10_000  # people of the town from which the EV survey is drawn


@dataclass(frozen=True, repr=False, eq=False)
class Survey:
    """A survey that was put to a population.

    people : one row per respondent: what is told, the answers under the questions' names, and
        `part` (train, validation, test). questions : by name.
    designs : question -> one row per respondent: `context` and what else the prompt names.
    features : question -> columns of `people` that the prompt tells, for the baselines.
    truth : question -> P(answer | what the prompt tells) (N, K), where a world knows it.
    plan : how the respondents were drawn, or None.
    """

    name: str
    people: pd.DataFrame
    questions: Mapping[str, Question]
    designs: Mapping[str, pd.DataFrame]
    features: Mapping[str, tuple[str, ...]]
    truth: Mapping[str, FloatArray] = field(default_factory=dict)
    plan: Plan | None = None

    def __repr__(self) -> str:
        sizes = self.people["part"].value_counts()
        parts = ", ".join(f"{sizes.get(name, 0)} {name}" for name in SPLIT)
        return f"Survey({self.name!r}: {len(self.people)} respondents ({parts}); " + (
            f"questions {', '.join(self.questions)})"
        )

    def part(self, name: str) -> pd.DataFrame:
        """The respondents of one part. Raises ValueError for a part that there is not."""
        if name not in SPLIT:
            raise ValueError(f"no part {name!r}; legal are {', '.join(SPLIT)}")
        return self.people[self.people["part"] == name]

    def scale(self, question: str) -> list[float]:
        """The K values of a question; the options' numbers, 0 to K - 1, where they have none."""
        asked = self.questions[question]
        return list(map(float, asked.values or range(len(asked.options))))

    def ordered(self, question: str) -> bool:
        """Whether the answers lie on a scale."""
        return self.questions[question].values is not None

    def answers(self, question: str, part: str = "test") -> pd.Series:
        """The respondents' answers as values of the scale, NaN where there is none."""
        given, asked = self.part(part)[question], self.questions[question]
        if asked.values is None:
            listed = asked.options_for(self.designs[question].loc[given.index])
            places = [
                np.nan if pd.isna(a) else o.index(a) for a, o in zip(given, listed, strict=True)
            ]
            given = pd.Series(places, index=given.index, name=question)
        return given.astype(float)

    def examples(
        self, part: str = "train", respondents: int | None = None, seed: int = 0
    ) -> pd.DataFrame:
        """Examples to learn from; with `respondents`, those of so many, drawn by `seed`."""
        people = self.part(part)
        tables = [
            examples(self.designs[name].loc[people.index], {name: asked}, people, orders=None)
            for name, asked in self.questions.items()
        ]
        table = pd.concat(tables, ignore_index=True)
        return table if respondents is None else subset(table, respondents, seed)

    def believe(
        self, model: Model, question: str, part: str = "test", *, least_mass: float = LEAST_MASS
    ) -> pd.DataFrame:
        """What `simkit.believe` gives for one part, in the order of its respondents.

        least_mass : as there; 0 where the valid mass is shown, as a study's success rate is.
        """
        design = self.designs[question].loc[self.part(part).index].reset_index(drop=True)
        asked = self.questions[question]
        return believe(model, asked, design, orders=None, least_mass=least_mass)

    def belief(self, table: pd.DataFrame, question: str, part: str = "test") -> pd.DataFrame:
        """Belief (n, K) of a table from `believe`, a row per respondent, a column per value."""
        wide = table.pivot(index="prompt_id", columns="option_id", values="belief")
        return wide.set_axis(self.scale(question), axis=1).set_axis(self.part(part).index, axis=0)

    def sample(
        self, model: LocalModel, question: str, temperature: float = 1.0, *, seed: int = 0
    ) -> pd.DataFrame:
        """One answer per test respondent that the model writes itself, token by token.

        Columns as `read_answers` gives them: `text`, `answer`, `value` (NaN where the text is no
        valid answer), `valid`; its mean is the success rate. The index is the respondents'.
        """
        people, asked = self.part("test"), self.questions[question]
        design = self.designs[question].loc[people.index]
        prompts = asked.prompts(design)
        rng = generator(seed, "answers", question, f"{temperature:g}")
        seeds = rng.integers(2**31, size=len(prompts)).tolist()
        longest = max(len(model.tokenizer.tokenize(" " + o)) for o in asked.options)
        texts = write(model, prompts, seeds, max_tokens=longest + 2, temperature=temperature)
        return read_answers(asked, texts).set_axis(people.index, axis=0)

    def exact(self, question: str, part: str = "test") -> pd.DataFrame | None:
        """The true belief (n, K) of a part, None where no world knows it."""
        if question not in self.truth:
            return None
        kept = (self.people["part"] == part).to_numpy()
        rows = self.truth[question][kept]
        return pd.DataFrame(rows, index=self.part(part).index, columns=self.scale(question))

    def baselines(self, question: str, *, neighbours: int = 10) -> dict[str, pd.DataFrame]:
        """Predictions (n, K) of the test respondents by each baseline, learnt from all others.

        Ordered questions have an ordered logit, others a multinomial one; `neighbours` nearest
        neighbours count. All that an adapter has seen counts: the training answers, and those of
        the validation part, by which its best step is chosen.
        """
        seen = ("train", "validation")
        known, new = pd.concat([self.part(name) for name in seen]), self.part("test")
        told = list(self.features[question])
        y = pd.concat([self.answers(question, name) for name in seen])
        scale = self.scale(question)
        ordered = self.ordered(question)
        logit = "ordered logit" if ordered else "multinomial logit"
        pair = known[told], new[told]
        return {
            "uniform": estimators.uniform_belief(new, scale),
            "training marginal": estimators.marginal_belief(y, new, scale, pseudo=0.05),
            "nearest neighbours": estimators.neighbour_belief(
                y, *pair, scale, neighbours=neighbours, pseudo=0.05
            ),
            logit: estimators.logit_belief(y, *pair, scale, ordered=ordered, pseudo=0.05),
        }

    def fit(
        self, question: str, belief: pd.DataFrame, *, part: str = "test", **how: Any
    ) -> pd.DataFrame:
        """Distances and errors of a belief (n, K), one row per metric with its interval.

        "kl" (smoothed by `SMOOTHING`) and "tv" of the population; on a scale also "wasserstein",
        "rmse" and "mae" of answers drawn from the belief; "log_loss". Columns estimate, std_error,
        low, high, floor (sampling noise; the truth's own error where it is known), ceiling
        (uniform answers). On a scale also "rmse_mean", the error of the mean of the belief; unlike
        that of a draw it does not fall only because beliefs are sharper. how : n_boot, rng (of the
        floor) and alpha.
        """
        y, scale = self.answers(question, part), self.scale(question)
        ordered, exact = self.ordered(question), self.exact(question, part)
        metrics = ["kl", "tv", "wasserstein"] if ordered else ["kl", "tv"]
        crowd = estimators.marginal_fit(
            y, belief, scale, metrics=metrics, smoothing=SMOOTHING, **how
        ).to_frame()
        level = {"alpha": how["alpha"]} if "alpha" in how else {}
        each, point = (
            estimators.individual_fit(
                y, belief, scale, statistic=statistic, truth=exact, **level
            ).to_frame()
            for statistic in ("draw", "mean")
        )
        point = point[point["metric"] == "rmse"].assign(metric="rmse_mean")
        each = pd.concat([each, point]) if ordered else each[each["metric"] == "log_loss"]
        kept = ["metric", "estimate", "std_error", "low", "high", "floor", "ceiling"]
        return pd.concat([crowd[kept], each[kept]], ignore_index=True)

    def margins(self, *names: str, part: str = "test") -> pd.DataFrame:
        """Shares among all respondents (`target`) beside those of a part (`achieved`)."""
        tables = []
        for name in names:
            every, some = (
                frame[name].value_counts(normalize=True).sort_index()
                for frame in (self.people, self.part(part))
            )
            table = pd.DataFrame({"target": every, "achieved": some.reindex(every.index).fillna(0)})
            tables.append(table.rename_axis("value").reset_index().assign(margin=name))
        out = pd.concat(tables, ignore_index=True)
        n = len(self.part(part))
        return out.assign(by_chance=np.sqrt(out["target"] * (1 - out["target"]) / n))


def ev_survey(*, n: int = 1_000, seed: int = 1) -> Survey:
    """New-car buyers of the glass box's other town, on electric cars: truth known.

    n people of a register of 10,000 are drawn by plan. The prompt tells their demographics and two
    attitudes; asked are the preference for an electric car before they read anything (0 to 100)
    and, told that and what they read, the preference afterwards.
    """
    town = world.POPULATIONS["target"]
    register = world.respondents(REGISTER, seed, town).assign(weight=1.0)
    plan = sampling_plan(
        register, n, margins=list(world.DEMOGRAPHICS), by=list(world.DEMOGRAPHICS),
        replace=False, seed=seed,
    )  # fmt: skip
    people = plan.people.drop(columns="weight")
    people["part"] = split_respondents(people["person"], SPLIT, seed)
    told = {
        "ev_before": ATTITUDES,
        "ev_after": (*ATTITUDES, "ev_before", "information"),
    }
    designs = {q: world.design(people, answered=names) for q, names in told.items()}
    demographics = tuple(world.DEMOGRAPHICS)
    return Survey(
        "ev",
        people,
        {name: world.question(name) for name in told},
        designs,
        {name: (*demographics, *names) for name, names in told.items()},
        {name: world.exact(designs[name], name, town) for name in told},
        plan,
    )


def anes_survey(*, seed: int = 1) -> Survey:
    """Voters of 1996 (`anes96`): politics, vote and television news from what is known of them.

    The prompt tells education, income, age and, as a number, party identification; the vote is a
    number too. So what a model makes of a party does not hang on the names in its vocabulary.
    """
    frame = datasets.load("anes96").astype(dict.fromkeys(("age", "educ", "income", "PID"), int))
    told = ("educ", "PID", "income", "age")
    people = frame[[*told, "selfLR", "TVnews"]].assign(vote=frame["vote"].map({0: "1", 1: "2"}))
    people["part"] = split_respondents(people.index, SPLIT, seed).to_numpy()
    places = dict(ANES96["selfLR"].values)  # type: ignore[arg-type]
    questions = {
        "selfLR": likert(ANES96["selfLR"].ask, 7, {1: places[1], 7: places[7]}),
        "TVnews": question_of(ANES96, "TVnews"),
        "vote": Question(VOTE, ("1", "2")),
    }
    said = render(people, ANES96, attributes=[name for name in told if name != "PID"])
    party = people["PID"].map(PARTY.format)
    design = pd.DataFrame({"context": said + " " + party})
    return Survey(
        "anes96",
        people,
        questions,
        dict.fromkeys(questions, design),
        dict.fromkeys(questions, told),
    )


def car_survey(*, n: int = 600, seed: int = 1) -> Survey:
    """Households that chose one of six vehicles (`car`), n of the 4,654 drawn by plan.

    The prompt tells education, household and way to work, and lists the vehicles. Raises
    `datasets.DataError` where the data are not here, saying how to get them.
    """
    frame = datasets.load("car").astype(dict.fromkeys(CAR, int))
    plan = sampling_plan(
        frame.assign(weight=1.0), n, margins=list(CAR), by=list(CAR), replace=False, seed=seed
    )
    people = plan.people
    people["part"] = split_respondents(people["person"], SPLIT, seed)
    vehicles = car_vehicles(people)
    numbers = people["choice"].str.removeprefix("choice").astype(int) - 1
    people["pick"] = vehicles.to_numpy()[np.arange(len(people)), numbers]
    design = vehicles.assign(context=render(people, CAR))
    asked, told = {"pick": car_choice()}, {"pick": tuple(CAR)}
    return Survey("car", people, asked, {"pick": design}, told, {}, plan)
