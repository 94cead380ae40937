"""Instructions: Markdown from operators, HTML that can do earners no harm."""

from functools import lru_cache

import nh3
from markdown_it import MarkdownIt

LONGEST = 10_000
"""Characters; the worst of them take a tenth of a second, ordinary ones a hundredth."""

# What is off makes much of little: a table fills up its rows, a reference repeats its link at each
# use. HTML and pictures from elsewhere nobody shall see.
_markdown = MarkdownIt("commonmark", {"html": False}).disable(["reference", "image"])
_TAGS = {
    "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "hr", "li", "ol", "p", "pre",
    "strong", "ul",
}  # fmt: skip


# every look at the offers shows the same texts
@lru_cache(maxsize=500)
def to_html(markdown: str) -> str:
    """Render and sanitise: no scripts, no styles, no pictures from elsewhere, safe links only."""
    return nh3.clean(
        _markdown.render(markdown),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
