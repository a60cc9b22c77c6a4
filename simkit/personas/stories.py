"""Back-stories: people that the model itself writes.

A story that a model tells of a life comes with attributes that fit together, as no table of
margins can give them (Moon, Abdulhai, Kang, Suh et al. 2024, arXiv 2407.06576). The stories are
data: each is kept with its prompt, its seed and the name of its model. Whom they amount to is
asked of them like of anybody: an `interview` on demographics with the stories as context, whose
answers `rake` weights to cited margins.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from simkit.personas.answers import Write, draw_seed, stream_name
from simkit.questions import fill
from simkit.templates import check_text
from simkit.types import framed, integer, shown

__all__ = ["STORY", "back_stories"]

STORY = (
    "Question: Tell me about yourself. Where did you grow up, how do you live now, and what "
    "matters to you?\nAnswer:"
)
ADDED = ("story", "story_prompt", "story_seed", "story_model")


def back_stories(
    write: Write,
    people: int | pd.DataFrame,
    *,
    model: str,
    prompt: str = STORY,
    seed: int = 0,
) -> pd.DataFrame:
    """One back-story per person, as a model writes it.

    Parameters
    ----------
    write : (prompts, seeds) -> texts; text i must depend on prompt i and seed i alone.
    people : how many; or respondents with a column `person`, whose columns the prompt may name.
    model : the model's name (and revision), kept with each story.
    prompt : template with `{column}` fields of the people ("{context}\\nQuestion: …\\nAnswer:").
    seed : each person's own seed is derived from it and from `person`.

    Returns
    -------
    The people (for a number: `person` and `weight` 1), then `story` (the text as written, blanks
    at its ends taken off; None where nothing was written), `story_prompt`, `story_seed` and
    `story_model`. `attrs["empty"]` counts the stories that are None. For an interview, drop those
    and let the story be the context: `people.assign(context=people["story"])`.

    Raises ValueError for fewer than one person, people without `person` (or two of a name), who
    have one of the new columns already or a column twice, a prompt with a field that nothing fills
    or whose value is missing, and for a `write` that returns another number of texts.
    """
    if isinstance(people, int | np.integer) and not isinstance(people, bool):
        integer(people, "people", 1)
        people = pd.DataFrame({"person": np.arange(people), "weight": 1.0})
    framed(people, "people")
    if not isinstance(model, str):
        raise ValueError(f"model is {shown(model)}; it must be a name")
    check_text(model)
    if not callable(write):
        raise ValueError(f"write is {shown(write)}; it must be a function")
    if people.empty or "person" not in people or not people["person"].is_unique:
        raise ValueError(f"{len(people)} people; legal are one or more, each with its own `person`")
    taken = [name for name in ADDED if name in people]
    if taken:
        raise ValueError(f"the people already have a column {taken[0]!r}; rename it first")
    prompts = fill(prompt, people)
    records: list[Mapping[Hashable, object]] = people[["person"]].to_dict("records")
    seeds = [draw_seed(seed, "story", stream_name(record["person"])) for record in records]
    texts = list(write(prompts, seeds))
    if len(texts) != len(people):
        raise ValueError(f"write returned {len(texts)} texts for {len(people)} prompts")
    stories = [text.strip() if isinstance(text, str) else "" for text in texts]
    out = people.assign(
        story=pd.Series([s or None for s in stories], people.index, dtype=object),
        story_prompt=prompts,
        story_seed=seeds,
        story_model=model,
    )
    out.attrs["empty"] = int(out["story"].isna().sum())
    return out
