"""Write the reference, and the tables and the page of benchmark results, or list outdated files."""

from __future__ import annotations

import sys

from docs.generate import FOLDER, generated_files, outdated
from docs.generate.benchmarks import outdated_pages, pages_with_results
from docs.generate.page import PAGE as BENCHMARK_PAGE
from docs.generate.page import benchmark_page
from docs.generate.serving import PAGE, serving_page


def main() -> None:
    """Write the files. With `--check`, list the outdated files and exit with 1."""
    names = outdated()
    if "--check" in sys.argv:
        files = [*(f"docs/reference/{name}" for name in names), *outdated_pages()]
        if BENCHMARK_PAGE.read_text(encoding="utf-8") != benchmark_page():
            files.append("docs/benchmark/index.html")
        sys.exit(f"outdated: {', '.join(files)}. Run `make reference`." if files else 0)
    for name, text in generated_files().items():
        file = FOLDER / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    PAGE.write_text(serving_page(), encoding="utf-8")
    for page, text in pages_with_results().items():
        page.write_text(text, encoding="utf-8")
    BENCHMARK_PAGE.write_text(benchmark_page(), encoding="utf-8")
    if surplus := sorted(set(names) - set(generated_files())):
        files = ", ".join(f"docs/reference/{name}" for name in surplus)
        sys.exit(f"not generated: {files}. Delete these files, or move them to another folder of docs.")


if __name__ == "__main__":
    main()
