"""Write docs/models anew: a page and a picture for every shipped spec, and the index.  `make docs` runs this."""

from __future__ import annotations

from pathlib import Path

import composer
from composer.describe.page import model_pages
from composer.shipped import shipped_specs

FOLDER = Path(__file__).parent / "models"


def main() -> None:
    """Replace every file of the folder; those of specs that are gone go too."""
    pages = model_pages(composer.resolve(composer.read_spec(name)) for name in shipped_specs())
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
