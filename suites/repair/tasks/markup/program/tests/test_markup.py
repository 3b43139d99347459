from markup.blocks import render
from markup.inline import escape, render_line, replace_pairs


def test_pairs():
    assert replace_pairs("a *b* c", "*", "em") == "a <em>b</em> c"


def test_escape():
    assert escape("1 < 2 & 3") == "1 &lt; 2 &amp; 3"


def test_link():
    assert render_line("see [here](/a.html)!") == 'see <a href="/a.html">here</a>!'


def test_heading():
    assert render("## Second") == "<h2>Second</h2>"


def test_list():
    assert render("- one\n- two\n") == "<ul><li>one</li><li>two</li></ul>"


def test_paragraphs():
    assert render("one\ntwo\n\nthree") == "<p>one two</p>\n<p>three</p>"


def test_dash_at_the_start_of_a_line():
    assert render("seven\n- or eight") == "<p>seven - or eight</p>"
