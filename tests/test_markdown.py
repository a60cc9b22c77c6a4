"""Mathematics becomes MathML; what it cannot be stays readable; nothing slips through."""

import pytest

from simkit.reports.markdown import clean, mathml, render


@pytest.mark.parametrize(
    "latex",
    [
        r"P(Y \mid do(P=p)) = \sum_{c} P(Y \mid p, c)\,P(c)",
        r"\hat\beta_{\text{blind}} / \beta",
        r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
        r"\sqrt{\frac{1}{n}\sum_i (x_i - \bar x)^2}",
        r"\mathbb{E}[C \mid p] \neq \operatorname{logit}^{-1}(\alpha)",
    ],
)
def test_common_mathematics_is_converted(latex):
    text = mathml(latex)
    assert text.startswith("<math ")
    assert "&amp;</m" not in text  # an alignment mark left standing


def test_unreadable_mathematics_stays_as_source():
    assert mathml(r"<b>^") == '<code class="math">&lt;b&gt;^</code>'


@pytest.mark.parametrize(
    "latex", [r"\text{<script>x</script>}", "a<b>c", r"\href{javascript:x}{y}"]
)
def test_mathematics_cannot_carry_markup(latex):
    text = mathml(latex)
    assert "<script" not in text and "<b>" not in text and "href=" not in text


def test_prices_with_escaped_dollars_are_no_mathematics():
    assert render(r"between \$2 and \$4") == "<p>between $2 and $4</p>\n"


def test_author_and_output_are_told_apart():
    headings = []
    assert "<b>x</b>" in render("# One\n\n# One\n\n<b>x</b>", headings=headings)
    assert headings == [(1, "one", "One"), (1, "one-2", "One")]
    assert (
        render("# One\n\n<b>x</b>") == '<p class="heading">One</p>\n<p>&lt;b&gt;x&lt;/b&gt;</p>\n'
    )


def test_links_cannot_run_scripts():
    assert "javascript" not in render("[x](javascript:alert(1))", headings=[])
    assert "javascript" not in clean('<a href="javascript:alert(1)">x</a>')
    assert "javascript" not in clean('<a href=" JaVaScript:1">x</a>')
    assert 'href="https://example.org"' in clean('<a href="https://example.org">x</a>')


def test_pandas_tables_keep_their_cells_and_lose_their_style_sheet():
    table = (
        '<style scoped>.x {}</style><table><thead><tr style="text-align: right;"><th>a</th></tr>'
    )
    assert clean(table).startswith('<table><thead><tr style="text-align: right;"><th>a</th>')
