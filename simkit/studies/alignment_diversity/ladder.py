"""The controlled experiment on alignment: base, supervised control, DPO at growing strength.

The glass box knows a population whose diversity is known exactly (`simkit.worlds.concepts`).
Here it is aligned as large models are: first on demonstrations (answers of the population, the
control), then by direct preference optimisation on pairs of answers of which the commoner one is
preferred, as a panel of raters would. Only text that people of the world said is used, never a
probability: a preference says which of two drawn answers more of a sample of people gave. The
dose is the number of DPO steps; all doses are states of one run.

Murthy, Ullman & Hu, arXiv 2411.04427, compare finished models; the experiment is ours. DPO:
Rafailov et al., arXiv 2305.18290, by trl.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simkit.files import write_text
from simkit.resources import adapters
from simkit.scoring import LocalModel, load
from simkit.training.adapters import load_adapter, read_record
from simkit.training.data import examples
from simkit.training.dpo import train_dpo
from simkit.training.finetuning import finetune
from simkit.types import IntArray, generator, one_of
from simkit.worlds import concepts
from simkit.worlds.kinds import wordings

__all__ = ["PROFILES", "Profile", "comparisons", "demonstrations", "ladder", "preferences",
           "train_adapters"]  # fmt: skip

ASKS = ("colour", "animal")
CONTROL = "sft"


@dataclass(frozen=True)
class Profile:
    """Size of the experiment.

    Attributes
    ----------
    doses : tuple of int
        DPO steps at which an adapter is kept; much beyond 80 the glass box no longer answers in
        the format (valid mass 0.4 after 160 steps, 0.01 after 320), so the ladder ends.
    batch : int
        Pairs, or demonstrations, per step.
    sft_steps : int
        Steps of the control.
    panel : int
        People whose answers decide what the majority says.
    """

    doses: tuple[int, ...] = (2, 5, 10, 20, 40, 80)
    batch: int = 16
    sft_steps: int = 80
    panel: int = 400
    rank: int = 2
    beta: float = 0.1
    sft_rate: float = 5e-4
    dpo_rate: float = 2e-3

    @property
    def pairs(self) -> int:
        return self.doses[-1] * self.batch


PROFILES = {
    "fast": Profile(),
    "full": Profile(sft_steps=320, panel=2_000),
}


def demonstrations(n: int, seed: int) -> pd.DataFrame:
    """n answers that people of the world gave, half of them about colours, half about animals.

    A row per answer, as `examples` gives them for `finetune`; every person answers one question,
    asked in the phrasings of the training text.
    """
    frames = []
    for ask in ASKS:
        people = _respondents(ask, n // 2 + (n % 2) * (ask == "colour"), seed, "sft")
        design = people.rename(columns={"answer": ask})
        frames.append(examples(design, {ask: concepts.question(ask)}, respondent="person"))
    return pd.concat(frames, ignore_index=True)


def preferences(n: int, seed: int, *, panel: int = 400) -> pd.DataFrame:
    """n pairs of answers to one prompt, of which the panel's majority gave `chosen` more often.

    Both answers of a pair were given by people of the world: one by the person whom the prompt
    describes, one by another person. A panel of `panel` other people answers everything once;
    whichever of the two answers more of the panel gave is preferred, whoever is asked. Pairs that
    the panel is even on, and of one answer twice, are drawn anew.

    Columns `ask`, `prompt`, `chosen`, `rejected` (with the separator in front).
    """
    parts = []
    for ask in ASKS:
        size = n // 2 + (n % 2) * (ask == "colour")
        votes, pairs = _votes(ask, panel, seed), pd.DataFrame()
        for attempt in range(100):
            people = _respondents(ask, 2 * size + 50, seed, "dpo", attempt)
            pairs = pd.concat([pairs, _pairs(ask, people, votes)], ignore_index=True)
            if len(pairs) >= size:
                break
        parts.append(pairs.iloc[:size])
    order = generator(seed, "alignment", "order").permutation(n)
    return pd.concat(parts, ignore_index=True).iloc[order].reset_index(drop=True)


def _respondents(ask: str, n: int, seed: int, *names: str | int) -> pd.DataFrame:
    """n people, each asked one thing: what the prompt says, `answer`, and `other`.

    `other` is what another person, drawn from the population, says to the same.
    """
    rng = generator(seed, "alignment", ask, *names)
    draws = rng.integers(2**31, size=2)
    people, others = concepts.individuals(n, rng), concepts.individuals(n, rng)
    about = concepts.WORDS if ask == "colour" else concepts.ANIMALS
    item, pair, turned = rng.integers(len(about), size=n), rng.integers(36, size=n), rng.random(n)
    frame = people.assign(wording=wordings(n, rng, False), turned=turned < 0.5)
    parts = []
    for i, name in enumerate(about):  # everybody answers about one item only
        rows = np.flatnonzero(item == i)
        part = frame.iloc[rows]
        for column, who, draw in (("answer", people, draws[0]), ("other", others, draws[1])):
            asked = who.iloc[rows].assign(person=np.arange(len(rows)))
            answers = concepts.answers(asked, ask, int(draw) + i, blocks=1, about=[name])
            part = _with_answers(part, answers, ask, column, pair[rows])
        parts.append(part)
    every = pd.concat(parts, ignore_index=True).drop(columns=["colour_type", "way", "turned"])
    return concepts.with_context(every, ask)


def _with_answers(
    people: pd.DataFrame, answers: pd.DataFrame, ask: str, column: str, pair: IntArray
) -> pd.DataFrame:
    """The people with what they were asked (the same in each call) and what they answered."""
    if ask == "colour":
        return people.assign(
            word=answers["word"].to_numpy(), **{column: answers["colour"].to_numpy()}
        )
    rows = answers.iloc[np.arange(len(people)) * 36 + pair].set_axis(people.index)
    one, two, turned = rows["first"], rows["second"], people["turned"]
    return people.assign(
        target=rows["target"], first=two.where(turned, one), second=one.where(turned, two),
        **{column: one.where(rows["answer"] == 0, two)},
    )  # fmt: skip


def _votes(ask: str, panel: int, seed: int) -> pd.Series:
    """How many of the panel gave each answer, by `_key`."""
    rng = generator(seed, "alignment", ask, "panel")
    people = concepts.individuals(panel, rng)
    answers = concepts.answers(people, ask, int(rng.integers(2**31)), blocks=1)
    if ask == "colour":
        return _key(ask, answers, answers["colour"]).value_counts()
    first = answers["answer"] == 0
    return _key(ask, answers, answers["first"].where(first, answers["second"])).value_counts()


def _key(ask: str, asked: pd.DataFrame, answer: pd.Series) -> pd.Series:
    """Question and answer as one text, in whichever order two animals were named."""
    if ask == "colour":
        return asked["word"] + ": " + answer
    two = [" ".join(sorted(pair)) for pair in zip(asked["first"], asked["second"], strict=True)]
    return asked["target"] + ", " + two + ": " + answer


def _pairs(ask: str, people: pd.DataFrame, votes: pd.Series) -> pd.DataFrame:
    """Of two answers to a prompt the one that more of the panel gave, and the other."""
    question = concepts.question(ask)
    one, other = people["answer"], people["other"]
    for_one, for_other = (
        votes.reindex(_key(ask, people, answer)).fillna(0).to_numpy() for answer in (one, other)
    )
    pairs = pd.DataFrame({
        "ask": ask, "prompt": question.prompts(people),
        "chosen": question.separator + one.where(for_one > for_other, other),
        "rejected": question.separator + other.where(for_one > for_other, one),
    })  # fmt: skip
    return pairs[for_one != for_other]


def train_adapters(
    out: Path | str,
    *,
    model: str | LocalModel = "glassbox",
    seed: int = 1,
    profile: str | Profile = "fast",
    progress: bool = True,
) -> list[Path]:
    """Train the control and the DPO ladder on a glass box; returns their folders.

    Parameters
    ----------
    out : folder; the adapters are `out/sft` and `out/dpo-<steps>`, with the weights in half
        precision, a card each, and `out/ladder.json`, which says what belongs together. What is
        there is replaced.
    model : glass box whose text has the concepts world.
    seed : of people, pairs, adapter weights and order.
    profile : "fast", "full" or a `Profile`.
    progress : show progress bars.

    Raises ValueError for a model without the concepts world and an unknown profile, ImportError
    (saying what to install) without peft or trl. No global random state is touched.
    """
    base = load(model) if isinstance(model, str) else model
    if "concepts" not in base.card.get("worlds", ()):
        raise ValueError(
            f"{base.name} was not trained on the concepts world; it must be a glass box"
        )
    size = PROFILES[one_of(profile, "profile", PROFILES)] if isinstance(profile, str) else profile
    out = Path(out)
    control = out / CONTROL
    _clear(out)
    finetune(
        base, demonstrations(size.sft_steps * size.batch, seed), control,
        rank=size.rank, alpha=4.0 * size.rank, learning_rate=size.sft_rate, schedule="constant",
        steps=size.sft_steps, batch=size.batch, seed=seed, progress=progress,
        data="Answers that people of the concepts world gave (colours, likenesses of animals), "
        "each to a prompt that describes them: the supervised control.",
    )  # fmt: skip
    pairs = preferences(size.pairs, seed, panel=size.panel)
    rungs = {0: control} | train_dpo(
        base, control, pairs, {dose: out / f"dpo-{dose:04d}" for dose in size.doses},
        batch=size.batch, beta=size.beta, rate=size.dpo_rate, seed=seed, progress=progress,
        card={"panel": size.panel},
    )  # fmt: skip
    steps = [{"name": path.name, "dose": dose} for dose, path in rungs.items()]
    about = {"base": base.name, "seed": seed, "batch": size.batch, "beta": size.beta}
    write_text(out / "ladder.json", json.dumps({**about, "steps": steps}, indent=1) + "\n")
    return list(rungs.values())


def _clear(out: Path) -> None:
    """Take away the adapters of an earlier run, and nothing else."""
    for folder in [out / CONTROL, *out.glob("dpo-*")]:
        if read_record(folder) is not None or (folder / "training.pt").exists():
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()


def ladder(base: LocalModel, folder: Path | str | None = None) -> dict[str, tuple[int, LocalModel]]:
    """The adapters of `train_adapters` on their base: name -> (dose in DPO steps, model).

    folder : None for those that travel with simkit. The control has dose 0.
    Raises FileNotFoundError where there are none, saying how they are trained, and ValueError if
    they were trained on another base.
    """
    place = adapters("alignment") if folder is None else Path(folder)
    listed = place / "ladder.json"
    if not listed.exists():
        raise FileNotFoundError(
            "there are no alignment adapters; train them with: simkit train-adapters alignment"
        )
    steps: list[dict[str, Any]] = json.loads(listed.read_text())["steps"]
    return {
        step["name"]: (step["dose"], load_adapter(base, place / step["name"])) for step in steps
    }


def comparisons(base: Any, other: Any = None) -> tuple[dict[str, tuple[int, LocalModel]], str]:
    """The ladder of a model, and a sentence that says what is compared with it.

    Where there is none for it: `other` alone, as the aligned model of dose 1, or nothing.
    """
    try:
        rungs = ladder(base)
    except (FileNotFoundError, ValueError) as error:
        rungs = {"compared": (1, other)} if other else {}
        return rungs, f"No ladder of adapters for {base.name}: {str(error).split(';')[0]}."
    return rungs, ", ".join(f"{name} (dose {dose})" for name, (dose, _) in rungs.items())
