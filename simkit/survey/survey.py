"""A survey: a population, what its people are told, what they are asked, what they answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from simkit.files import as_path
from simkit.personas import CheckAll, CodeBook, check_all, render
from simkit.questions import Question
from simkit.survey import stored
from simkit.survey.item import MISSING, SurveyItem, literal, values_shown
from simkit.templates import is_missing
from simkit.types import FloatArray, hashable, invalid_row, listed, one_of

__all__ = ["PARTS", "Survey", "answer_values", "scale_of"]

NOTHING = "none of these"  # told of who ticked nothing
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, repr=False, eq=False)
class Survey:
    """A survey that was put to a population, as data: no model and no estimator is in it.

    Attributes
    ----------
    name : str
        What it is called.
    people : DataFrame
        One row per respondent: what the prompts tell, the answers under the questions' names, and
        `part` (train, validation, test) where some respondents are held out.
    questions : mapping
        Name -> `Question`.
    designs : mapping
        Question -> one row per respondent: `context` and what else the prompt names.
    told : mapping
        Question -> columns of `people` that its prompt tells.
    truth : mapping
        Question -> P(answer | what the prompt tells), an array (N, K), where a world knows it.
    plan : Plan, optional
        How the respondents were drawn (`simkit.personas.Plan`).
    tells : mapping
        Question -> how its answer is told to later questions of an interview.
    simulated : DataFrame, optional
        The respondents that are simulated: `person`, `context` and what the prompts tell.
    items : mapping
        Name -> `SurveyItem`: what the columns of `people` hold, where the survey is a file's.
    weights, strata, clusters : str, optional
        Columns of `people`: survey weights, strata and sampling points.
    missing : DataFrame
        Why answers are missing, where that is known: a row each, with `column`, `row` (of
        `people`), `code` and `reason`.
    notes : tuple of str
        What was seen when a file was read.
    """

    name: str
    people: pd.DataFrame
    questions: Mapping[str, Question] = field(default_factory=dict)
    designs: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    told: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    truth: Mapping[str, FloatArray] = field(default_factory=dict)
    plan: Any = None
    tells: Mapping[str, str] = field(default_factory=dict)
    simulated: pd.DataFrame | None = None
    items: Mapping[str, SurveyItem] = field(default_factory=dict)
    weights: str | None = None
    strata: str | None = None
    clusters: str | None = None
    missing: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=MISSING))
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        size = f"{len(self.people)} respondents"
        if self._parted:
            counts = self.people["part"].value_counts()
            size += f" ({', '.join(f'{counts.get(part, 0)} {part}' for part in PARTS)})"
        if self.simulated is not None:
            size += f", {len(self.simulated)} personas"
        if self.items and not self.questions:
            size += f"; {len(self.items)} items"
            noted = [f"\n  {note}" for note in self.notes]
            return f"Survey({self.name!r}: {size}){''.join(noted)}"
        return f"Survey({self.name!r}: {size}; questions {', '.join(self.questions)})"

    def codebook(self) -> pd.DataFrame:
        """What the items are: a row each, to look at.

        Returns
        -------
        DataFrame
            Columns text, scale, labels, answered and missing (people), reasons (why, where it is
            known), low and high (of codes that are numbers).
        """
        why = self.missing.groupby(["column", "code", "reason"], sort=False).size()
        rows = {}
        for name, item in self.items.items():
            answers = self.people[self._columns(name)]
            given = int(answers.notna().any(axis=1).sum())
            numbers = answers.select_dtypes("number")
            reasons = why.loc[[name]] if name in why.index.get_level_values(0) else why.iloc[:0]
            rows[name] = {
                "text": item.text,
                "scale": item.scale,
                "labels": values_shown(item.labels),
                "answered": given,
                "missing": len(answers) - given,
                "reasons": "; ".join(f"{c} {r}: {k}" for (_, c, r), k in reasons.items()),
                "low": numbers.min().min() if given and len(numbers.T) else np.nan,
                "high": numbers.max().max() if given and len(numbers.T) else np.nan,
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("item")

    def personas(
        self, columns: Sequence[str], people: pd.DataFrame | None = None, **how: Any
    ) -> pd.DataFrame:
        """The respondents as personas, told what they answered to some items.

        Parameters
        ----------
        columns : sequence of str
            Items, in the order in which they are told. An answer that is missing is left out; of a
            multi-select item all that was ticked is told.
        people : DataFrame, optional
            Respondents with these columns, such as a sample of the survey's; None for all.
        **how
            Further arguments of :func:`simkit.personas.render`: `voice`, `form`.

        Returns
        -------
        DataFrame
            A design: `person`, `context` and the columns told, in words for nominal items.

        Raises
        ------
        ValueError
            For an item that there is not, and one that has no single answer.

        Examples
        --------
        >>> people = pd.DataFrame({"sex": [1, 2], "age": [34.0, None]})
        >>> items = {"sex": SurveyItem("Sex", {1: "male", 2: "female"}),
        ...          "age": SurveyItem("Age", scale="numeric", tell="Aged {text}.")}
        >>> Survey("small", people, items=items).personas(["sex", "age"])["context"].tolist()
        ['Sex: male. Aged 34.', 'Sex: female.']
        """
        names = [self._item(name) for name in listed(columns, "columns")]
        if reserved := [name for name in names if name in ("person", "context")]:
            raise ValueError(f"the item {reserved[0]!r} has the name of a design's column; rename")
        whole = self.people if people is None else people
        told = pd.DataFrame({name: self._told(whole, name) for name in names}, whole.index)
        book = CodeBook({n: self._of(n, "attribute") for n in names})
        context = render(told, book, attributes=names, **how)
        nominal = [n for n in names if self.items[n].scale == "nominal"]
        words = {n: told[n].map(self._texts(n), na_action="ignore") for n in nominal}
        out = told.assign(**words)
        out.insert(0, "person", np.arange(len(out)))
        return out.assign(context=context)

    def question(self, name: str, **options: Any) -> Question:
        """An item as the question that is put to a model.

        Parameters
        ----------
        name : str
            An item. Nominal ones have their labels as options; ordinal ones values, too; numbers
            are asked from the lowest to the highest answer.
        **options
            Further arguments of :class:`simkit.Question`: layout="letters" lists the answers.

        Returns
        -------
        Question

        Raises
        ------
        ValueError
            For an item that there is not, or that has no closed list of answers, saying why.

        Examples
        --------
        >>> people = pd.DataFrame({"trust": [1, 3, 2]})
        >>> items = {"trust": SurveyItem("Trust?", {1: "none", 2: "some", 3: "full"}, "ordinal")}
        >>> Survey("small", people, items=items).question("trust").values
        (1.0, 2.0, 3.0)
        """
        return self._of(self._item(name), "question", **options)  # type: ignore[no-any-return]

    def check_all(self, name: str, **how: Any) -> CheckAll:
        """A check-all item as the battery that is put to a model.

        Parameters
        ----------
        name : str
            An item of several answers. Its people's answers are the columns "name: option", as
            those of the battery are called.
        **how
            Further arguments of :func:`simkit.personas.check_all`: `none`, `most`, `wording`.

        Returns
        -------
        CheckAll
            For :func:`simkit.personas.selections` and :func:`simkit.personas.interview`.

        Raises
        ------
        ValueError
            For an item that there is not, or of one answer, and as `check_all` does.

        Examples
        --------
        >>> people = pd.DataFrame({"owns: a car": [1, 0], "owns: a bicycle": [1, 1]})
        >>> items = {"owns": SurveyItem("Own?", {1: "a car", 2: "a bicycle"}, "multi-select")}
        >>> list(Survey("small", people, items=items).check_all("owns").questions)
        ['owns: a car', 'owns: a bicycle']
        """
        item = self.items[self._item(name)]
        if item.scale != "multi-select":
            raise ValueError(f"item {name!r} has one answer ({item.scale}); see `question`")
        text, *options = map(literal, (item.text, *item.labels.values()))
        return check_all(text, options, name=name, **how)

    def asking(self, ask: Sequence[str], tell: Sequence[str], **options: Any) -> Survey:
        """The survey ready to be put to a model: some items asked, others told.

        Parameters
        ----------
        ask, tell : sequence of str
            Items. Nobody is told what is asked.
        **options
            Of the questions, see `question`.

        Returns
        -------
        Survey
            With `questions`, `designs` and `told`; its people have answers in the options' words,
            what is told in words where it is nominal, and weights, strata and clusters.

        Raises
        ------
        ValueError
            As `question` and `personas` do; for an item that is both asked and told, and where
            nothing is asked or told.
        """
        ask, tell = listed(ask, "ask"), listed(tell, "tell")
        for what, names in (("ask", ask), ("tell", tell)):
            if not names:
                raise ValueError(f"{what} is empty; name items: {', '.join(self.items)}")
        if both := [name for name in ask if name in tell]:
            raise ValueError(f"item {both[0]!r} is asked and told; it must be one of the two")
        if reserved := [n for n in (*ask, *tell) if n in ("part", "person", "context")]:
            raise ValueError(f"the item {reserved[0]!r} has the name of a design's column; rename")
        design = self.personas(tell)
        questions = {name: self.question(name, **options) for name in ask}
        people = design.drop(columns=["context"])
        for name, asked in questions.items():
            people[name] = self._answered(name, asked)
        for name in filter(None, (self.weights, self.strata, self.clusters)):
            people[name] = self.people[name]
        return replace(
            self,
            people=people,
            questions=questions,
            designs=dict.fromkeys(questions, design),
            items={name: self.items[name] for name in (*ask, *tell)},
            told=dict.fromkeys(questions, tuple(tell)),
            tells={name: self.items[name].sentence.replace("{text}", "{answer}") for name in ask},
        )

    def to_parquet(self, path: Any) -> None:
        """Write people, items, reasons and notes to one parquet file, for `read_survey`.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        stored.write(self, as_path(path, "path"))

    def sampling(self, part: str = "test") -> dict[str, pd.Series]:
        """The weights, strata and clusters of a part's people, as estimators take them.

        Raises ValueError for a part that there is not.
        """
        people = self.part(part)
        named = {"weights": self.weights, "strata": self.strata, "cluster": self.clusters}
        return {argument: people[name] for argument, name in named.items() if name}

    def _columns(self, name: str) -> list[str]:
        item = self.items[name]
        several = item.scale == "multi-select"
        return [f"{name}: {o}" for o in item.labels.values()] if several else [name]

    def _item(self, name: str) -> str:
        return one_of(name, "item", self.items)

    def _of(self, name: str, what: str, **options: Any) -> Any:
        """The item's attribute or question; an error names the item."""
        try:
            return getattr(self.items[name], what)(self._told(self.people, name), **options)
        except ValueError as error:
            raise ValueError(f"item {name!r}: {error}") from error

    def _told(self, people: pd.DataFrame, name: str) -> pd.Series:
        """The column of an item; of a multi-select one the options that were ticked, in words."""
        if self.items[name].scale != "multi-select":
            return people[name]
        ticks, options = people[self._columns(name)], [*self.items[name].labels.values()]
        texts = [
            ", ".join(o for o, tick in zip(options, row, strict=True) if tick == 1)
            or (None if any(map(is_missing, row)) else NOTHING)
            for row in ticks.itertuples(index=False)
        ]  # fmt: skip
        return pd.Series(texts, people.index, dtype=object)

    def _texts(self, name: str) -> dict[Any, str]:
        values = self._of(name, "attribute").values
        return dict(values)

    def _answered(self, name: str, asked: Question) -> pd.Series:
        """The people's answers to an item as the options' texts, None where there is none."""
        codes = asked.values or tuple(self.items[name].codes(self.people[name]))
        options = asked.options_for(pd.DataFrame(index=[0]))[0]
        texts = dict(zip(codes, options, strict=True))
        answers = [None if is_missing(v) else texts[v] for v in self.people[name]]
        return pd.Series(answers, self.people.index, dtype=object)

    def part(self, name: str) -> pd.DataFrame:
        """The respondents of one part; all of them where nobody is held out.

        Raises ValueError for a part that there is not.
        """
        one_of(name, "part", PARTS)
        return self.people[self.people["part"] == name] if self._parted else self.people

    @property
    def _parted(self) -> bool:
        """Whether some are held out; an item of a file may be called "part", too."""
        return "part" in self.people and "part" not in self.items

    def scale(self, question: str) -> list[float]:
        """The K values of a question, see `scale_of`."""
        return scale_of(self.questions[question])

    @property
    def scales(self) -> dict[str, tuple[float, float]]:
        """Question -> the ends of its scale."""
        return {q: (min(self.scale(q)), max(self.scale(q))) for q in self.questions}

    def ordered(self, question: str) -> bool:
        """Whether the answers lie on a scale."""
        return self.questions[question].values is not None

    def answers(self, question: str, part: str = "test") -> pd.Series:
        """The respondents' answers as values of the scale, NaN where there is none."""
        answers = self.part(part)[question]
        design = self.designs[question].loc[answers.index]
        return answer_values(answers, self.questions[question], design)

    @property
    def humans(self) -> pd.DataFrame:
        """Answers (n, questions) of the people held out, of all where nobody is."""
        return pd.DataFrame({question: self.answers(question) for question in self.questions})

    def exact(self, question: str) -> pd.DataFrame | None:
        """The true belief (n, K) of the people held out, None where no world knows it."""
        if question not in self.truth:
            return None
        scale = self.scale(question)
        table = pd.DataFrame(self.truth[question], self.people.index, scale)
        return table.loc[self.part("test").index]

    def margins(self, *names: str) -> pd.DataFrame:
        """Weighted shares among all respondents (`target`) and the people held out (`achieved`)."""
        tables, test = [], self.part("test")
        for name in names:
            target = self._shares(self.people, name)
            achieved = self._shares(test, name).reindex(target.index, fill_value=0)
            table = pd.DataFrame({"target": target, "achieved": achieved}).rename_axis("value")
            tables.append(table.reset_index().assign(margin=name))
        out = pd.concat(tables, ignore_index=True)
        n = float(len(test))
        if self.weights:  # as many equal weights would do
            n = test[self.weights].sum() ** 2 / (test[self.weights] ** 2).sum()
        return out.assign(by_chance=np.sqrt(out["target"] * (1 - out["target"]) / n))

    def _shares(self, people: pd.DataFrame, name: str) -> pd.Series:
        """Weighted share of each value, in their order."""
        if not self.weights:
            return people[name].value_counts(normalize=True).sort_index()
        total = people.groupby(name)[self.weights].sum()
        return total / total.sum()


def answer_values(
    answers: pd.Series, question: Question, design: pd.DataFrame | None = None
) -> pd.Series:
    """Answers to one question as numbers: the options' values, else 0 to K - 1; NaN if none.

    answers : the option's text, or already its number. design : fills the options' fields, a row
    per answer. Raises ValueError for an answer that is neither, naming the row: a code such as 99
    for "no answer" must be NaN.
    """
    scale = scale_of(question)
    rows = [question.options] * len(answers) if design is None else question.options_for(design)
    values = np.full(len(answers), np.nan)
    numbers: dict[tuple[str, ...], dict[Any, float]] = {}  # options -> the number of each answer
    for i, (answer, options) in enumerate(zip(answers.tolist(), map(tuple, rows), strict=True)):
        if options not in numbers:
            numbers[options] = dict(zip((*options, *scale), (*scale, *scale), strict=True))
        known = numbers[options]
        if hashable(answer) and answer in known:
            values[i] = known[answer]
        elif not is_missing(answer):
            allowed = f"one of {list(known)}, or None or NaN"
            raise invalid_row(str(answers.name), answers.index[i], answer, allowed)
    return pd.Series(values, index=answers.index, name=answers.name)


def scale_of(question: Question) -> list[float]:
    """The K values of a question; the options' numbers, 0 to K - 1, where they have none."""
    return list(map(float, question.values or range(len(question.options))))
