"""The model card's HTML page: scopes of table headings, and escaped text."""

from mlflow_project.runs.document import page

TEXT = "# v1\n\n**a** `b` <script> [x](javascript:1)\n\n| m | n |\n| --- | --- |\n| <i>1 | 2 |\n"


def test_bold_and_code_are_the_only_marks() -> None:
    """HTML tags and links in the text, such as a group's name, are escaped or left as text."""
    made = page(TEXT)
    assert "<title>v1</title>" in made
    assert "<strong>a</strong> <code>b</code> &lt;script&gt; [x](javascript:1)" in made
    assert "&lt;i&gt;1" in made


def test_a_tables_headings_have_their_scope() -> None:
    """Headings in the first row have scope `col`, those in the first column scope `row`."""
    made = page(TEXT)
    assert '<th scope="col">m</th>' in made and '<th scope="row">&lt;i&gt;1</th>' in made
    assert '<table tabindex="0">' in made
