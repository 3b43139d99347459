"""A campaign's report as one page of HTML that needs nothing else: no other file, no script, no network."""

from html import escape

from eventstore.audit import chart
from eventstore.audit.facts import Report
from eventstore.audit.report import chart_of, markdown

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2rem }
.wide { overflow-x: auto } svg { max-width: 100%; height: auto }
table { border-collapse: collapse; font-size: .9rem }
th, td { border-bottom: 1px solid #8884; padding: .25rem .7rem .25rem 0; text-align: left; vertical-align: top }
td[style*="right"] { white-space: nowrap }
pre { background: #8881; padding: .7rem; overflow-x: auto; font-size: .85rem }
""".strip()
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(report: Report) -> str:
    """The page: the report as `markdown` tells it, with the chart drawn into it.

    Whatever text of others is in it is shown as text; the page's own policy forbids scripts and requests as well.
    """
    from markdown_it import MarkdownIt

    told = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown(report))
    body = told.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    before, heading, after = body.partition("<h2>")
    title = escape(f"Ratchet: {report.lineage}, {report.campaign}")
    picture = chart.draw(*chart_of(report))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n{before}{picture}{heading}{after}</body>\n</html>\n"
    )
