"""Batteries: order, skip rules, and what each question is told of the answers before it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from simkit.personas import Battery, Item, likert, numeric, show
from simkit.personas.battery import transcript
from simkit.questions import Question

CAR = Item("car", Question("Which car?", ["petrol", "electric", "none"]))
KM = Item("km", numeric("How far a day?", 0, 90, 10), ask_if={"car": ["petrol", "electric"]})
CHARGE = Item("charge", Question("Charge where?", ["home", "road"]), ask_if={"car": "electric"})
FAR = Item("far", Question("Is it too far?", ["yes", "no"]), ask_if={"km": lambda km: km > 50})
NEWS = show("news", "{first} read about {topic}.", after=["car"])
MOOD = Item("mood", likert("Fine?", 5), after=["news"])
ALL = (CAR, KM, CHARGE, FAR, NEWS, MOOD)


def asked(answers: dict[str, Any], battery: Battery | None = None) -> list[str]:
    """All that is asked of someone who would give these answers."""
    given: dict[str, Any] = {}
    battery = battery or Battery(ALL)
    order = battery.orders(["someone"])[0]
    while (name := battery.following(order, given, {})) is not None:
        given[name] = answers.get(name)
    return list(given)


def test_skip_rules_follow_the_answers() -> None:
    assert asked({"car": "electric", "km": 60}) == ["car", "km", "charge", "far", "mood"]
    assert asked({"car": "petrol", "km": 50}) == ["car", "km", "mood"]
    assert asked({"car": "none"}) == ["car", "mood"]
    # No valid answer (None, NaN) meets no rule, and what was not asked meets none either.
    assert asked({"car": None}) == ["car", "mood"]
    assert asked({"car": "electric", "km": float("nan")}) == ["car", "km", "charge", "mood"]


def test_rules_may_look_at_the_people() -> None:
    adult = Battery([Item("vote", likert("Vote?", 2), ask_if={"age": lambda age: age >= 18}), CAR])
    people = [{"age": 17}, {"age": 18}, {"age": None}, {}]
    first = [adult.following(adult.names, {}, person) for person in people]
    assert first == ["car", "vote", "car", "car"]
    assert adult.following(("vote", "car"), {"car": "none"}, people[1]) == "vote"
    assert adult.following(adult.names, {"vote": 1, "car": None}, people[1]) is None


def test_random_orders_keep_the_rules_and_differ_by_person_and_seed() -> None:
    battery = Battery((MOOD, FAR, CHARGE, NEWS, KM, CAR), order="random")
    orders = battery.orders(range(1500), seed=4)
    for order in orders:
        battery.check_order(order)
    # car comes first; then km before far, news before mood, charge anywhere: 5! / 4 = 30 orders
    # of what follows.
    assert {order[0] for order in orders} == {"car"}
    assert len(set(orders)) == 30
    assert battery.orders(range(1500), seed=5) != orders
    assert battery.orders([7, 8], seed=4) == orders[7:9]
    free = Battery([Item(name, likert(name, 2)) for name in "abc"], order="random")
    counts = Counter(free.orders(range(600), seed=1))
    assert len(counts) == 6
    assert max(counts.values()) < 100 + 4 * 600**0.5 * 0.38  # sd sqrt(600 × 1/6 × 5/6) = 9.1


def test_a_given_order() -> None:
    names = ("car", "charge", "km", "far", "news", "mood")
    listed = Battery([Battery(ALL)[name] for name in names])
    assert listed.orders(["u", "v"]) == [names] * 2
    assert asked({"car": "electric", "km": 60}, listed)[1] == "charge"


@pytest.mark.parametrize(
    ("items", "order", "message"),
    [
        ([], "fixed", "no items"),
        ([CAR, CAR], "fixed", "item 'car' stands twice"),
        ([NEWS, CAR], "fixed", "asks 'news' before 'car', on which it depends"),
        ([KM, CAR], "fixed", "asks 'km' before 'car'"),
        ([CAR, KM], ["km", "car"], r"no order \['km', 'car'\]; there are: fixed, random"),
        ([CAR], "magic", "no order 'magic'"),
        ([MOOD], "fixed", "no item to put 'mood' after: 'news'; there are: mood"),
        ([show("a", "Hello.")], "fixed", "at least one must be a question"),
        (
            [Item("a", likert("?", 2), ask_if={"b": 1}), Item("b", likert("?", 2), after=["a"])],
            "random",
            "the rules of .* wait for each other",
        ),
    ],
)
def test_bad_batteries_are_refused(items: list[Item], order: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Battery(items, order)


def test_names() -> None:
    battery = Battery(ALL)
    assert battery["km"] is KM
    with pytest.raises(KeyError, match="no item 'age'; there are: car"):
        battery["age"]
    with pytest.raises(
        ValueError, match="news: there is no question, so `tell` must hold the text"
    ):
        Item("news", None)


def test_how_an_answer_is_told() -> None:
    own = {"question": "Which car?", "answer": "petrol", "value": 3.0}
    assert CAR.line({}, **own) == "Question: Which car?\nAnswer: petrol"
    short = Item("car", CAR.question, tell="{first}'s car: {answer}, {value:g} of {car}")
    assert short.line({"first": "Ann", "car": 5}, **own) == "Ann's car: petrol, 3 of 5"
    assert short.line({"first": None, "car": 5}, **own) is None
    with pytest.raises(ValueError, match=r"car: nothing fills \{first\}"):
        short.line({"car": 5}, **own)


def test_the_transcript_tells_what_came_before() -> None:
    battery = Battery(ALL)
    person = {"context": "A survey.", "first": "Ann", "topic": "trains"}
    lines = {"car": "Car: petrol", "km": "Km: 20", "mood": "Mood: 5"}
    answers = {"car": "petrol", "km": 20.0}
    told = transcript(battery, "mood", person, answers, lines, battery.names)
    assert told == "A survey.\nCar: petrol\nKm: 20\nAnn read about trains."
    assert transcript(battery, "km", person, answers, lines, battery.names) == (
        "A survey.\nCar: petrol"
    )
    alone = transcript(battery, "mood", person, answers, lines, battery.names, joint=False)
    assert alone == "A survey.\nAnn read about trains."
    rude = Battery([CAR, show("news", "Hello.", ask_if={"car": "none"}), MOOD])
    for car, shown in (("none", "A survey.\nHello."), ("petrol", "A survey.")):
        assert transcript(rude, "mood", person, {"car": car}, {}, rude.names) == shown
    unread = {**person, "topic": None, "context": ""}
    assert transcript(battery, "mood", unread, {}, {}, battery.names) == ""


def test_what_kind_of_answer_is_kept() -> None:
    assert KM.keep("20", 20.0) == 20.0
    assert CAR.keep("petrol", float("nan")) == "petrol"
    assert Item("a", likert("?", 2, ["no", "yes"])).keep("no", 1.0) == "no"


def test_a_rule_may_look_at_all_that_is_known() -> None:
    ask = Question("Sure?", ["yes", "no"])
    either = Item("c", ask, ask_if=lambda known: "yes" in (known.get("a"), known.get("b")))
    battery = Battery([Item("a", ask), Item("b", ask), either])
    assert battery.following(battery.names, {"a": "no", "b": "yes"}, {}) == "c"
    assert battery.following(battery.names, {"a": "no", "b": None}, {}) is None
    with pytest.raises(ValueError, match="c: ask_if"):
        Item("c", ask, ask_if="a")  # type: ignore[arg-type]
