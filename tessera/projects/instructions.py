"""Instructions: Markdown from operators, HTML that can do earners no harm."""

from functools import lru_cache

import nh3
from markdown_it import MarkdownIt

_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
_TAGS = {
    "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "hr", "li", "ol", "p", "pre",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


# every look at the offers shows the same few texts, and the longest take half a second
@lru_cache(maxsize=128)
def to_html(markdown: str) -> str:
    """Render and sanitise: no scripts, no styles, no pictures from elsewhere, safe links only."""
    return nh3.clean(
        _markdown.render(markdown),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
