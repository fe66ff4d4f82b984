"""The text of a run: which files, in which order, which of them are held out."""

from __future__ import annotations

from pathlib import Path

from composer.train.corpus import digest, find_documents, split


def names(folder: Path) -> list[str]:
    return [document.name for document in find_documents(folder)]


def write(folder: Path, *files: str) -> None:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"text of {name}\n", encoding="utf-8")


def test_files_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    """Whatever order the file system has; hidden files and other endings are left out."""
    write(tmp_path, "b.py", "a/z.txt", "a.md", "B.rst", "image.png", ".hidden.py", ".git/x.py")
    assert names(tmp_path) == ["B.rst", "a.md", "a/z.txt", "b.py"]


def test_a_link_back_to_the_corpus_is_not_followed(tmp_path: Path) -> None:
    """A folder that links to its parent ends all the same."""
    write(tmp_path, "a.txt")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path) == ["a.txt"]


def test_pieces_end_at_line_ends_and_join_to_the_text(tmp_path: Path) -> None:
    """A large file is read piece by piece, its line ends untouched."""
    text = "".join(f"line {n}\r\n" for n in range(1000)) + "no end"
    (tmp_path / "a.txt").write_bytes(text.encode())
    pieces = list(find_documents(tmp_path)[0].pieces(size=100))
    assert "".join(pieces) == text
    assert all(piece.endswith("\r\n") for piece in pieces[:-1])
    assert max(map(len, pieces)) <= 200


def test_a_file_is_held_out_by_its_name_alone(tmp_path: Path) -> None:
    """About the wanted share; adding a file moves no other to the other side."""
    write(tmp_path, *(f"{n}.txt" for n in range(300)))
    held_out = [d.name for d in split(find_documents(tmp_path), 10)[1]]
    assert 15 <= len(held_out) <= 45
    write(tmp_path, "one-more.txt")
    assert [d.name for d in split(find_documents(tmp_path), 10)[1] if d.name != "one-more.txt"] == held_out


def test_the_split_of_known_names_never_changes(tmp_path: Path) -> None:
    """SHA-256 of the path, fixed before the first run of the pocket model."""
    write(tmp_path, *(f"{word}.py" for word in ("abc", "ast", "gzip", "json/decoder", "_compression")))
    training, held_out = split(find_documents(tmp_path), 10)
    assert [d.name for d in held_out] == ["_compression.py", "ast.py"]
    assert len(training) == 3


def test_a_single_file_is_never_held_out(tmp_path: Path) -> None:
    """There must be something to learn from."""
    write(tmp_path, "_compression.py")
    assert [len(part) for part in split(find_documents(tmp_path), 99)] == [1, 0]


def test_the_digest_sees_names_and_contents(tmp_path: Path) -> None:
    """Equal for equal folders, different after a rename or a changed byte."""
    write(tmp_path / "one", "a.txt", "b.txt")
    write(tmp_path / "two", "a.txt", "b.txt")
    first = digest(find_documents(tmp_path / "one"))
    assert digest(find_documents(tmp_path / "two")) == first
    (tmp_path / "two/b.txt").rename(tmp_path / "two/c.txt")
    assert digest(find_documents(tmp_path / "two")) != first
