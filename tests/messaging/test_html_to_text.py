"""Plain text made from HTML: for a person to read, with every token as it was written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.messaging import tokens
from webapp.messaging.html_to_text import html_to_text

TOKEN = '{{ first_name|default("a_b (c) <i> *d*") }}'
PIECES = (
    "<p>", "</p>", "<h1>", "</h1>", "<br>", "<b>", "</b>", "<ul><li>", "</li></ul>", "<table><tr><td>", "</td></tr></table>",
    "text", "1. ", "- ", "+ ", "# ", "* ", "&amp;", "&lt;b&gt;", "&nbsp;", "é😀", TOKEN, "{% if city == 'a_b' %}x{% endif %}",
    f'<a href="https://a.example/{TOKEN}">', "</a>", "<!-- c -->", "<", ">", "]", "[", "(", "<img alt='x'>", "\n", "\ue000", "{# n #}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h1>Renew now</h1><p>Dear {{ first_name }},<br>it is time.</p>", "Renew now\n\nDear {{ first_name }},\nit is time.\n"),
        ('<p>See <a href="https://a.example/b_c(d)?e=1&amp;f=2">the <b>offer</b></a>.</p>',
         "See the offer (https://a.example/b_c(d)?e=1&f=2).\n"),
        ('<a href="https://a.example">https://a.example</a>', "https://a.example\n"),
        ('<a href="{{ unsubscribe_url }}">Unsubscribe</a>', "Unsubscribe ({{ unsubscribe_url }})\n"),
        ("<ul><li>One</li><li>Two</li></ul>", "* One\n* Two\n"),
        ("<table><tr><td>Auto</td><td>$900</td></tr></table>", "Auto $900\n"),
        ("<p>#1 insurer</p><p>1. April</p><p>+1 415 200 0000</p><p>A - B</p>",
         "#1 insurer\n\n1. April\n\n+1 415 200 0000\n\nA - B\n"),
        ("<style>p{}</style><script>x()</script><p>Tom &amp; Ann &lt;3</p><img src='x' alt='y'>", "Tom & Ann <3\n"),
        ("<p>snake_case, 5 * 3, [brackets]</p>", "snake_case, 5 * 3, [brackets]\n"),
        ("", "\n"),
    ],
)  # fmt: skip
def test_it_reads_as_a_person_would_write_it(html, text):
    lines = [line.rstrip() for line in html_to_text(html).splitlines()]
    assert "\n".join(lines) + "\n" == text or html_to_text(html) == text


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_whatever_the_html_tokens_come_through_untouched(html):
    text = html_to_text(html)
    assert text.endswith("\n") and "\ue000" not in text
    # A link's address goes with its link where that is empty; nothing else may get lost or changed.
    assert text.count(TOKEN) >= html.replace(f"https://a.example/{TOKEN}", "").count(TOKEN) or "<" in html
    assert text.count("{% if") == text.count("{% endif %}") and tokens.problem(text) is None
