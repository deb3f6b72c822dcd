"""Write the reference, or list its outdated files."""

from __future__ import annotations

import sys

from docs.generate import FOLDER, generated_files, outdated
from docs.generate.serving import PAGE, serving_page


def main() -> None:
    """Write the reference. With `--check`, list the outdated files and exit with 1."""
    names = outdated()
    if "--check" in sys.argv:
        sys.exit(f"docs/reference: outdated: {', '.join(names)}. Run `make reference`." if names else 0)
    for name in names:
        (FOLDER / name).unlink(missing_ok=True)
    for name, text in generated_files().items():
        file = FOLDER / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    PAGE.write_text(serving_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
