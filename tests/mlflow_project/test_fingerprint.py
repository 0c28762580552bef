"""What makes a training another one."""

from pathlib import Path

from mlflow_project.fingerprint import code_digest, training_digest


def test_code_digest_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    """A copy elsewhere agrees; a changed line, a new file or another name does not."""
    first, copy = tmp_path / "a", tmp_path / "b"
    for folder in (first, copy):
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "one.py").write_text("x = 1\n")
        (folder / "notes.txt").write_text(str(folder))
    assert code_digest(first) == code_digest(copy)
    before = code_digest(copy)
    (copy / "inner" / "one.py").write_text("x = 2\n")
    assert code_digest(copy) != before
    (copy / "inner" / "one.py").write_text("x = 1\n")
    (copy / "inner" / "one.py").rename(copy / "inner" / "two.py")
    assert code_digest(copy) != before


def test_training_digest_depends_on_data_and_parameters() -> None:
    """The order of the parameters does not count, their values do."""
    base = training_digest("d", {"seed": 7, "capacity": 0.6})
    assert training_digest("d", {"capacity": 0.6, "seed": 7}) == base
    others = [training_digest("e", {"seed": 7, "capacity": 0.6}), training_digest("d", {"seed": 8})]
    assert base not in others and len(set(others)) == 2
