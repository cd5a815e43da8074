"""The shared look of all pages: templates, one style sheet, one script, plots, live fragments.

How a site uses it::

    look = Look("oracle.web.page")           # this package's templates/ and the shared ones
    site = web.Application(middlewares=[look.explain])
    site.add_routes(look.assets)             # /look/style.css, /look/live.js, /look/icon.svg
    secure(site)                             # content security policy and its kin on every answer

    return look.page("jobs.html", jobs=jobs)             # a response; `extends "base.html"`
    html = look.render("fragments/queue.html", queue=q)  # a fragment, for the live stream

A template has the filters of `filters.py` (`opg`, `wei`, `gwei`, `short`, `age`, `moment`,
`duration`, `count`, `share`) and the macros of `templates/parts.html` (`state`, `fact`, `meter`)
and `plot.html`. All is escaped; there is no inline script or style, which the policy refuses:
lengths go into SVG.

Live: an element `<section id="queue">` in a page whose body block says `data-live="/events"` is
replaced by each fragment of that id. `Live` has one snapshot for all who watch, made only while
somebody does; `stream_fragments` sends an iterator's fragments to one watcher (ticks appearing).

Responsible for how things look. Knows nothing of what is shown.
"""

from oracle.web.look.environment import Look
from oracle.web.look.live import Fragments, Live, stream_fragments
from oracle.web.look.plot import Plot, Series, plot
from oracle.web.look.security import secure

__all__ = [
    "Fragments",
    "Live",
    "Look",
    "Plot",
    "Series",
    "plot",
    "secure",
    "stream_fragments",
]
