"""A model card's page: what a table's headings are of, and text that stays text."""

from mlflow_project.runs.document import page

TEXT = "# v1\n\n**a** `b` <script> [x](javascript:1)\n\n| m | n |\n| --- | --- |\n| <i>1 | 2 |\n"


def test_bold_and_code_are_the_only_marks() -> None:
    """Neither a tag nor a link of a group's name or a column's becomes one."""
    made = page(TEXT)
    assert "<title>v1</title>" in made
    assert "<strong>a</strong> <code>b</code> &lt;script&gt; [x](javascript:1)" in made
    assert "&lt;i&gt;1" in made


def test_a_tables_headings_have_their_scope() -> None:
    """Of its column in the first row, of its row in the first column."""
    made = page(TEXT)
    assert '<th scope="col">m</th>' in made and '<th scope="row">&lt;i&gt;1</th>' in made
    assert '<table tabindex="0">' in made
