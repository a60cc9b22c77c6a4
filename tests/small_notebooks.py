"""Small notebooks for the tests of reports and of the command line."""

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook


def code(source, *tags):
    return new_code_cell(source, metadata={"tags": list(tags)})


def markdown(source):
    return new_markdown_cell(source)


def write(path, *cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=list(cells), metadata={"kernelspec": kernel}), path)
    return path


PARAMETERS = code(
    'model: str = "glassbox"  # a name = a model\n'
    "seed: int = 1  # of everything\n"
    "share: float = 0.5\n"
    "grid: list[float] | None = None  # dollars",
    "parameters",
)

GOOD = (
    markdown("# Tea & *toast*\n\nThe question, $P(Y \\mid do(P=p))$."),
    code(
        "import matplotlib.pyplot as plt\n"
        "from IPython.display import HTML, Markdown, display\n"
        "import simkit.reports as reports"
    ),
    PARAMETERS,
    markdown(
        "## A figure\n\n$$\\sum_{c} P(Y \\mid p, c)\\,P(c)$$\n\n![](http://example.org/a.png)"
    ),
    code(
        "figure, axes = plt.subplots(figsize=(2, 1))\n"
        "axes.plot([0, seed])\n"
        "reports.caption(f'The \"line\" <b>rises</b> to {seed}.')"
    ),
    markdown("## Words of a model"),
    code(
        "evil = '<script>alert(1)</script>'\n"
        'evil += \'<img src="http://example.org/b.png" onerror="alert(2)">\'\n'
        "print(evil)\n"
        "display(HTML('<table><tr><th>kept</th></tr></table>' + evil))\n"
        "display(Markdown('$\\\\text{<script>alert(3)</script>}$ ' + evil))\n"
        "evil"
    ),
    code(
        "import os\n"
        "number = dict(name='share <of> tea', value=share, low=0.4, high=0.6, unit='cups',\n"
        "              over='cups of the household', claim='People <i>like</i> tea.',\n"
        "              verdict=True)\n"
        "none = dict(name='nothing', value=float('nan'))\n"
        "reports.record('tea', [number, none], model=model, parameters={'cups': 12})"
    ),
)

BAD = (
    markdown("# Spilt\n\nA run that fails."),
    code("import simkit.reports as reports"),
    PARAMETERS,
    markdown("## Before"),
    code("print('this was computed')"),
    code("spilt_milk"),
    code("print('this never runs')"),
)
