"""What all figures share: the truth stands beside the methods where it is known, and only there."""

import matplotlib.pyplot as plt
import pandas as pd

from simkit import plots

FRAME = pd.DataFrame({"source": "belief", "internal": [10.0, 20.0], "population": [12.0, 30.0]})
TRUTH = pd.DataFrame({"internal": [11.0, 19.0], "population": [13.0, 33.0]})


def test_the_truth_is_one_more_line_of_the_figure():
    both = plots.with_truth(FRAME, TRUTH, by="source", name="truth, exact")
    assert both["source"].tolist() == ["belief", "belief", "truth, exact", "truth, exact"]
    assert both["population"].tolist() == [12, 30, 13, 33] and both.index.is_unique
    ax = plots.unity(both)
    assert [line.get_label() for line in ax.get_lines()][1:] == ["Belief", "Truth, exact"]
    plt.close(ax.figure)


def test_where_no_truth_is_known_nothing_is_added():
    for unknown in (None, TRUTH.head(0)):
        pd.testing.assert_frame_equal(plots.with_truth(FRAME, unknown, by="source"), FRAME)
