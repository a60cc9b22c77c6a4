"""Line of unity: by hand, against plain loops, coverage, every keyword, and the human numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simkit.estimators.diversity.colour import delta_e, srgb_to_lab
from simkit.estimators.diversity.expected import expected_delta_e, expected_distance
from simkit.estimators.diversity.line_of_unity import line_of_unity
from simkit.worlds import concepts
from tests.worlds.concepts.test_concepts import expected_distance as exact_distance

pytestmark = pytest.mark.filterwarnings("error")
ROOT2 = np.sqrt(2)


# --- colour ---------------------------------------------------------------------------------


def test_lab_of_known_colours():
    # Published CIELAB (D65, 2 degrees) of the sRGB corners; 50 % grey (119) has L* near 50.
    known = {
        (255, 255, 255): (100, 0, 0),
        (0, 0, 0): (0, 0, 0),
        (255, 0, 0): (53.24, 80.09, 67.20),
        (0, 255, 0): (87.73, -86.18, 83.18),
        (0, 0, 255): (32.30, 79.19, -107.86),
        (119, 119, 119): (50.03, 0, 0),
    }
    found = srgb_to_lab(list(known))
    assert found == pytest.approx(np.array(list(known.values())), abs=0.01)


def test_lab_by_hand_near_black():
    # 5/255 = 0.0196 is on both straight parts: linear 0.0196078/12.92 = 0.00151765;
    # f = 0.00151765 / (3 (6/29)^2) + 4/29 = 0.0118180 + 0.1379310; L = 116 f - 16 = 1.37089
    assert srgb_to_lab([5, 5, 5]) == pytest.approx([1.37089, 0, 0], abs=1e-4)


def test_lab_is_that_of_scikit_image():
    colour = pytest.importorskip("skimage.color")
    rgb = np.random.default_rng(0).integers(0, 256, (50, 3))
    assert srgb_to_lab(rgb) == pytest.approx(colour.rgb2lab(rgb[None] / 255.0)[0], abs=2e-3)


def test_colour_refuses():
    with pytest.raises(ValueError, match=r"rgb\[1, 2\] is 256; it must be a number from 0 to 255"):
        srgb_to_lab([[0, 0, 0], [1, 2, 256]])
    with pytest.raises(ValueError, match="shape"):
        srgb_to_lab([1, 2])
    assert np.isnan(srgb_to_lab([np.nan, 0, 0])).any()


def test_delta_e_is_euclidean_and_broadcasts():
    assert delta_e([0, 0, 0], [3, 4, 12]) == pytest.approx(13)  # 9 + 16 + 144 = 169
    assert delta_e(np.zeros((4, 1, 3)), np.ones((1, 5, 3))).shape == (4, 5)


# --- line of unity --------------------------------------------------------------------------


def lightness(*rows):
    """(people, words) lightness as CIELAB."""
    block = np.zeros((*np.shape(rows), 3))
    block[..., 0] = rows
    return block


def test_by_hand():
    # Lightness of two words; the second was not seen by the third person in block 2.
    one = lightness([10, 0], [20, 4], [60, 8], [90, 12])
    two = lightness([12, 2], [20, 4], [50, np.nan], [90, 6])
    found = line_of_unity(one, two, words=["luck", "hope"])
    row = found.to_frame().loc["luck"]
    # internal (2 + 0 + 10 + 0) / 4 = 3
    assert row["internal"] == pytest.approx(3)
    # rows of |one_i - two_j|, j != i: 10: 10 40 80; 20: 8 30 70; 60: 48 40 30; 90: 78 70 40
    # sum 130 + 108 + 118 + 188 = 544, over 12 pairs
    assert row["population"] == pytest.approx(544 / 12)
    assert row["signed"] == row["absolute"] == pytest.approx((544 / 12 - 3) / ROOT2)
    # i < j only: 10 40 80, 30 70, 30 = 260 over 6
    source = line_of_unity(one, two, pairs="source").to_frame().iloc[0]
    assert source["population"] == pytest.approx(260 / 6)
    # hope, without person 3: internal (2 + 0 + 6) / 3; pairs 4 6, 2 2, 10 8 = 32 over 6
    hope = found.to_frame().loc["hope"]
    assert (hope["internal"], hope["people"]) == (pytest.approx(8 / 3), 3)
    assert hope["population"] == pytest.approx(32 / 6)
    assert found.overall["internal"]["estimate"] == pytest.approx((3 + 8 / 3) / 2)
    assert "1 of 8 answers left out: the other block has none" in found.notes


def population(people=60, words=7, spread=20.0, noise=6.0, seed=0, centre=50.0):
    """Everybody has a colour of his own per word, and gives it twice with noise; some not seen."""
    rng = np.random.default_rng(seed)
    own = centre + spread * rng.normal(size=(people, words, 3))
    one, two = (own + noise * rng.normal(size=own.shape) for _ in range(2))
    missing = rng.random((people, words)) < 0.3
    one[missing], two[missing] = np.nan, np.nan
    return one, two


def plain(one, two, pairs):
    """The measures by loops."""
    out = []
    for w in range(one.shape[1]):
        seen = [i for i in range(len(one)) if not np.isnan(one[i, w] + two[i, w]).any()]
        own = [np.linalg.norm(one[i, w] - two[i, w]) for i in seen]
        others = [
            np.linalg.norm(one[i, w] - two[j, w])
            for i in seen
            for j in seen
            if (i < j if pairs == "source" else i != j)
        ]
        out.append([np.mean(own), np.mean(others)])
    return np.array(out)


@pytest.mark.parametrize("pairs", ["all", "source"])
def test_against_loops_with_axes_of_unequal_length(pairs):
    one, two = population(people=13, words=5)
    found = line_of_unity(one, two, pairs=pairs).to_frame()
    assert found[["internal", "population"]].to_numpy() == pytest.approx(plain(one, two, pairs))


def test_individuals_are_found_and_their_absence_too():
    # differences of 3-D normals of standard deviation s have mean length s sqrt(2) sqrt(8 / pi)
    one, two = population(people=300, words=30)
    overall = line_of_unity(one, two, permutations=20).overall
    length = 2 * np.sqrt(2) * np.sqrt(2 / np.pi)
    assert overall["internal"]["estimate"] == pytest.approx(6 * length, rel=0.02)
    assert overall["population"]["estimate"] == pytest.approx(np.hypot(20, 6) * length, rel=0.02)
    one, two = population(people=80, words=200, spread=0.0, noise=20.0)
    noise = line_of_unity(one, two)
    # no individuals: the signed mean is 0, the absolute one is not, and the null says how much
    assert noise.overall["signed"]["low"] < 0 < noise.overall["signed"]["high"]
    absolute, null = noise.overall["absolute"], noise.overall["null_absolute"]
    assert absolute["low"] > 0.3
    assert abs(absolute["estimate"] - null["estimate"]) < 3 * null["std_error"]
    p = noise.to_frame()["p"]
    assert 0.4 < p.mean() < 0.6  # uniform


def test_shuffles_take_the_individuals_out():
    one, two = population(people=80)
    frame = line_of_unity(one, two).to_frame()
    assert (frame["p"] <= 1 / 201 + 1e-12).all()  # none of 200 shuffles comes near
    assert (frame["null"] < 0.2 * frame["signed"]).all()
    rng = np.random.default_rng(1)
    seen = ~np.isnan(one[:, 0, 0])
    two[seen, 0] = two[rng.permutation(np.flatnonzero(seen)), 0]  # word 0 by hand
    again = line_of_unity(one, two).to_frame()
    assert again["p"].iloc[0] > 0.02 and again["p"].iloc[1] <= 1 / 201 + 1e-12


def test_jackknife_is_that_of_leaving_people_out():
    one, two = population(people=9, words=3)
    for pairs in ("all", "source"):
        found = line_of_unity(one, two, pairs=pairs, permutations=2)
        every = (plain(one, two, pairs) @ [-1, 1]) / ROOT2
        moves = []
        for i in range(9):
            rest = np.delete(one, i, axis=0), np.delete(two, i, axis=0)
            moves.append((plain(*rest, pairs) @ [-1, 1]) / ROOT2 - every)
        moves = np.array(moves)  # (people, words); 0 where a person did not see the word
        n = found.to_frame()["people"].to_numpy()
        error = np.sqrt((n - 1) / n * (moves**2).sum(0))
        assert found.to_frame()["std_error"].to_numpy() == pytest.approx(error)
        row = found.overall["signed"]
        half = 2.306004 * np.sqrt(8 / 9 * (moves.mean(1) ** 2).sum())  # t of 8 at 0.975
        assert row["high_people"] - row["estimate"] == pytest.approx(half, rel=1e-6)
    # what noise of the people shifts has no interval over them
    shifted = ["absolute", "correlation", "share_negative", "null_absolute"]
    assert found.overall.to_frame().loc[shifted, ["low_people", "high_people"]].isna().all().all()


def test_intervals_over_people_cover():
    rng = np.random.default_rng(5)
    truth = 2 * np.sqrt(2) * np.sqrt(2 / np.pi) * (np.hypot(20, 6) - 6) / ROOT2
    hits = []
    for seed in range(15):  # words are independent here: 15 studies of 20 words
        one, two = population(people=40, words=20, seed=seed)
        found = line_of_unity(one, two, permutations=2, rng=rng).to_frame()
        hits += ((found["low"] <= truth) & (truth <= found["high"])).tolist()
    assert 0.95 - 4 * np.sqrt(0.0475 / 300) <= np.mean(hits) <= 0.99


def test_every_keyword_changes_the_result():
    one, two = population(people=20)
    base = {"permutations": 20}

    def of(**kwargs):
        found = line_of_unity(one, two, **(base | kwargs))
        return found.to_frame().round(9), found.overall.to_frame().round(9)

    words, overall = of()
    assert not words["population"].equals(of(pairs="source")[0]["population"])
    assert not words["null"].equals(of(permutations=21)[0]["null"])
    assert not words["null"].equals(of(rng=1)[0]["null"])
    assert (of(alpha=0.5)[1]["high"] < overall["high"]).any()
    assert list(of(words=list("abcdefg"))[0].index) == list("abcdefg")
    pd.testing.assert_frame_equal(words, of()[0])  # the same seed, the same numbers


def test_undefined_words_and_bad_input():
    one, two = population(people=9, words=4)
    one[1:, 2] = np.nan
    found = line_of_unity(one, two)
    assert found.to_frame().iloc[2][["estimate", "internal", "p"]].isna().all()
    assert "1 of 4 words undefined: fewer than 2 people answered twice" in found.notes
    with pytest.raises(ValueError, match="shapes"):
        line_of_unity(one, two[:, :3])
    with pytest.raises(ValueError, match="no pairs 'half'; there are: all, source"):
        line_of_unity(one, two, pairs="half")
    with pytest.raises(ValueError, match="permutations is 1"):
        line_of_unity(one, two, permutations=1)
    with pytest.raises(ValueError, match="3 names for 4 words"):
        line_of_unity(one, two, words=["a", "b", "c"])
    with pytest.raises(ValueError, match="fewer than 2 words"):
        line_of_unity(one[:, :1], two[:, :1])
    two[3, 1, 0] = np.inf
    with pytest.raises(ValueError, match=r"lab_2\[3, 1, 0\] is inf"):
        line_of_unity(one, two)


def test_summary_is_that_of_the_means():
    found = line_of_unity(*population(people=10))
    assert "null_absolute" in repr(found) and "null_absolute" in found._repr_html_()


# --- expected distance from beliefs ---------------------------------------------------------

GREYS = [[0, 0, 0], [10, 0, 0], [40, 0, 0]]


def test_expected_by_hand():
    # Individuals (1/2, 1/2, 0) and (0, 1/2, 1/2) with shares 3 : 1; distances 10, 30, 40.
    belief = np.array([[[0.5, 0.5, 0]], [[0, 0.5, 0.5]]])
    two = np.tile(belief, (1, 2, 1))
    found = expected_delta_e(two, GREYS, weights=[3, 1], distinct=False)
    row = found.to_frame().iloc[0]
    # within: 2 (1/4) 10 = 5 and 2 (1/4) 30 = 15; 3/4 * 5 + 1/4 * 15 = 7.5
    assert row["internal"] == pytest.approx(7.5)
    # mean belief (3/8, 1/2, 1/8): 2 (3/16 * 10 + 3/64 * 40 + 1/16 * 30) = 11.25
    assert row["population"] == pytest.approx(11.25)
    assert row["signed"] == pytest.approx(3.75 / ROOT2)
    # different individuals only, equal weights: of the two, 1/4 * (10 + 40 + 0 + 30) = 20
    apart = expected_delta_e(two, GREYS).to_frame().iloc[0]
    assert (apart["internal"], apart["population"]) == (pytest.approx(10), pytest.approx(20))


def test_a_sample_of_people_is_not_too_narrow():
    """Issue: with all pairs, i = j too, the signed distance of N people is low by 1/N."""
    # N people say one colour each, of two 40 apart, by halves: of the population 40 / 2 = 20
    # between, 0 within, signed 20 / sqrt(2) = 14.142. All pairs of a sample of 5 give
    # (1 - 1/5) 14.142 = 11.314 on average, pairs of different people 14.142.
    rng = np.random.default_rng(0)
    one = np.eye(2)[rng.integers(0, 2, (5, 4_000))]
    greys = [[0, 0, 0], [40, 0, 0]]
    found = [
        expected_delta_e(one, greys, **how).overall["signed"]["estimate"]
        for how in ({}, {"distinct": True}, {"distinct": False})
    ]
    assert found[0] == found[1] == pytest.approx(20 / ROOT2, rel=0.02)
    assert found[2] == pytest.approx(0.8 * found[0])


def test_expected_without_each_person():
    belief = np.random.default_rng(0).dirichlet(np.ones(3), (7, 4))
    belief[2, 1] = np.nan
    found = expected_delta_e(belief, GREYS).overall
    without = np.array([
        expected_delta_e(np.delete(belief, i, axis=0), GREYS).to_frame()[["internal", "population"]]
        for i in range(7)
    ])  # fmt: skip
    for name, value in (
        ("internal", without[..., 0]), ("signed", (without[..., 1] - without[..., 0]) / ROOT2),
    ):  # fmt: skip
        row = found[name]
        moves = value.mean(1) - row["estimate"]
        half = 2.446912 * np.sqrt(6 / 7 * (moves**2).sum())  # t of 6 at 0.975
        assert row["high_people"] - row["estimate"] == pytest.approx(half, rel=1e-6)
    kinds = expected_delta_e(belief, GREYS, distinct=False).overall.to_frame()
    assert "low_people" not in kinds  # kinds of people are no sample of people


def test_expected_is_what_sampling_tends_to():
    rng = np.random.default_rng(3)
    belief = rng.dirichlet(np.full(4, 0.5), (150, 3))
    lab = srgb_to_lab(rng.integers(0, 256, (4, 3)))
    exact = expected_delta_e(belief, lab).to_frame()
    u = rng.random((2, 20, 150, 3, 1))
    chosen = (u > belief.cumsum(-1)).sum(-1)
    many = [line_of_unity(lab[a], lab[b], permutations=2) for a, b in chosen.swapaxes(0, 1)]
    mean = np.mean([m.to_frame()[["internal", "population"]].to_numpy() for m in many], axis=0)
    assert exact[["internal", "population"]].to_numpy() == pytest.approx(mean, rel=0.04)


def test_expected_is_the_worlds_own():
    lab = srgb_to_lab(list(concepts.PALETTE.values()))
    joint = concepts.people.joint().sum(concepts.people.axis["way"])
    share = joint.sum(-1).ravel()
    types = joint.reshape(-1, joint.shape[-1]) / share[:, None]
    belief = np.einsum("it,wtk->iwk", types, concepts.COLOUR)
    kinds = {"weights": share, "distinct": False}  # of each kind there are many
    found = expected_delta_e(belief, lab, words=concepts.WORDS, **kinds).to_frame()
    apart = delta_e(lab[:, None], lab[None])
    for word in concepts.WORDS:
        known = exact_distance(word, apart)
        assert found.loc[word, ["internal", "population"]].tolist() == pytest.approx(known)


def test_expected_refuses_and_counts():
    belief = np.full((2, 3, 3), 1 / 3)
    with pytest.raises(ValueError, match=r"it must be \(individuals, items, 3"):
        expected_delta_e(belief[..., :2], GREYS)
    belief[1, 2] = [0.5, 0.2, 0.2]
    with pytest.raises(ValueError, match="individual 1, item 2 sums to"):
        expected_delta_e(belief, GREYS)
    belief[1, 2] = np.nan
    found = expected_delta_e(belief, GREYS)
    assert found.to_frame()["people"].tolist() == [2, 2, 1]
    assert "1 of 6 beliefs skipped: none there" in found.notes
    assert np.isnan(found.to_frame().iloc[2]["signed"])  # one person is no pair
    assert any("1 of 3 items undefined" in note for note in found.notes)
    kinds = expected_delta_e(belief, GREYS, distinct=False).to_frame()
    assert kinds.iloc[2]["signed"] == pytest.approx(0)
    with pytest.raises(ValueError, match="2 names for 3 items"):
        expected_delta_e(belief, GREYS, words=["a", "b"])
    with pytest.raises(ValueError, match="symmetric, and 0 on the diagonal"):
        expected_distance(belief, np.ones((3, 3)))
    with pytest.raises(ValueError, match="lab has shape"):
        expected_delta_e(belief, [[1, 2]])
    narrow = expected_delta_e(belief, GREYS, alpha=0.5).overall.to_frame()
    assert narrow.loc["internal", "estimate"] == found.overall["internal"]["estimate"]


def test_distance_of_categories_is_the_probability_of_different_answers():
    # 0.9/0.1 and 0.5/0.5: within 2 * 0.09 = 0.18 and 0.5, mean 0.34; mean belief 0.7/0.3: 0.42
    belief = np.array([[[0.9, 0.1]] * 2, [[0.5, 0.5]] * 2])
    kinds = {"items": ["q1", "q2"], "distinct": False}
    found = expected_distance(belief, 1 - np.eye(2), **kinds).to_frame()
    assert found.loc["q1", ["internal", "population"]].tolist() == pytest.approx([0.34, 0.42])


def test_colours_pair_by_the_names_of_their_columns():
    lab = pd.DataFrame({"L": [50.0], "a": [20.0], "b": [-30.0]})
    assert delta_e(lab, lab[["b", "a", "L"]]) == pytest.approx([0.0])
