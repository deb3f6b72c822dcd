"""Write the reference pages, or list the outdated ones."""

from __future__ import annotations

import sys

from docs.generate import FOLDER, pages, stale


def main() -> None:
    """Write the reference pages. With `--check`, list the outdated ones and exit with 1."""
    old = stale()
    if "--check" in sys.argv:
        sys.exit(f"docs/reference: outdated pages: {', '.join(old)}. Run `make reference`." if old else 0)
    FOLDER.mkdir(exist_ok=True)
    for name in old:
        (FOLDER / f"{name}.md").unlink(missing_ok=True)
    for name, text in pages().items():
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
