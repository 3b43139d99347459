from markup.blocks import heading_level, render, render_block, split_blocks
from markup.inline import escape, render_line


def test_strong_and_emphasized():
    assert render_line("**a** and *b*") == "<strong>a</strong> and <em>b</em>"
    assert render_line("`x` `y`") == "<code>x</code> <code>y</code>"


def test_mark_without_partner():
    assert render_line("2 * 3") == "2 * 3"
    assert render_line("[no](link") == "[no](link"


def test_two_links():
    assert render_line("[a](b) [c](d)") == '<a href="b">a</a> <a href="d">c</a>'


def test_escape_all():
    assert escape("<<>>") == "&lt;&lt;&gt;&gt;"
    assert escape("&lt;") == "&amp;lt;"


def test_heading_levels():
    assert [heading_level(text) for text in ("# a", "###### b", "####### c", "#d", "e")] == [1, 6, 0, 0, 0]
    assert render("#   Wide  ") == "<h1>Wide</h1>"


def test_paragraphs_and_headings():
    assert split_blocks("\n\n a \nb\n\n\nc\n") == [["a", "b"], ["c"]]
    assert render("# A\n\nb\n") == "<h1>A</h1>\n<p>b</p>"
    assert render("") == ""


def test_not_all_lines_are_items():
    assert render_block(["- a", "b", "- c"]) == "<p>- a b - c</p>"
    assert render_block(["-a"]) == "<p>-a</p>"


def test_items():
    assert render("- a\n- - b") == "<ul><li>a</li><li>- b</li></ul>"
