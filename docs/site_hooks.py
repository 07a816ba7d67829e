"""Hooks for mkdocs, so that the same pages work on a Git host and in the site.

The pages at the top of the repository become pages of the site, and the two files that benchmarks.md shows become
files of the site. Links between them and docs/ are written for the repository, so the hooks change them into links of
the site.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_SHOWN = ("benchmarks/results.json", "benchmarks/growth.svg")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and files that are outside docs/."""
    root = Path(config.docs_dir).parent
    for name in _TOP:
        text = (root / name).read_text(encoding="utf-8")
        files.append(File.generated(config, _place(name), content=_for_the_site(text)))
    for name in _SHOWN:
        files.append(File.generated(config, name, abs_src_path=str(root / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with its links to files outside docs/ changed into links to the site's copies."""
    if page.file.generated_by:
        return markdown
    for name in _TOP:
        markdown = markdown.replace(f"](../{name}", f"]({_place(name)}")
    return markdown.replace("](../benchmarks/", "](benchmarks/")


def _place(name: str) -> str:
    return f"project/{name.lower()}"


def _for_the_site(text: str) -> str:
    text = re.sub(r"\]\((?=docs/)docs/", "](../", text)
    for name in _TOP:
        text = text.replace(f"]({name}", f"]({name.lower()}")
    return text
