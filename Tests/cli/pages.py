"""What the tests of report pages look at: the markup, and the page as a browser lays it out."""

import html.parser
import json
import pathlib
import re
import shutil
import subprocess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VOID = {"meta", "link", "img", "br", "input", "hr"}

# Errors first, so that what follows cannot hide them.
WATCH = "<script>var failures = []; addEventListener('error', e => failures.push(String(e.message)), true);</script>"
MEASURE = r"""<script>
function rgb(text) { return text.match(/[\d.]+/g).map(Number); }
function luminance(c) {
  return c.slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
}
function ground(element) {
  let color = null, layers = [];
  for (let e = element; e; e = e.parentElement) layers.push(rgb(getComputedStyle(e).backgroundColor));
  for (const layer of layers.reverse()) {
    const alpha = layer.length > 3 ? layer[3] : 1;
    color = color === null ? layer.slice(0, 3) : color.map((v, i) => v * (1 - alpha) + layer[i] * alpha);
  }
  return color;
}
addEventListener('load', () => {
  const faint = [], small = [];
  for (const e of document.querySelectorAll('body *:not(script):not(style):not(dialog):not(dialog *)')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const style = getComputedStyle(e);
    const inSVG = e instanceof SVGElement;
    const a = luminance(rgb(inSVG ? style.fill : style.color)), b = luminance(ground(e));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push([e.textContent.trim().slice(0, 40), contrast]);
    const scale = inSVG && e.ownerSVGElement ? Math.abs(e.getScreenCTM().a) : 1;
    if (parseFloat(style.fontSize) * scale < 10) small.push([e.textContent.trim().slice(0, 40), style.fontSize]);
  }
  const wide = [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => e.outerHTML.slice(0, 120));
  const broken = [...document.images].filter(i => i.src && !i.naturalWidth).length;
  const found = { failures, faint, small, wide, broken, width: innerWidth, scroll: document.documentElement.scrollWidth,
    dark: luminance(ground(document.body)) < 0.2 };
  parent.postMessage(JSON.stringify(found), '*');
});
</script>"""
# Windows are 500 pixels wide at least; a frame has the width that it is given.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><style>body { margin: 0 } iframe { border: 0 }</style><script>
addEventListener('message', e => document.documentElement.setAttribute('data-found', e.data));
</script><iframe src="page.html" style="width: %dpx; height: 900px"></iframe>"""


class Page(html.parser.HTMLParser):
    """The elements of a page; fails where they are not nested as they should be."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag, attributes):
        assert len({name for name, _ in attributes}) == len(attributes), attributes
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.open)

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def read(path):
    """The page in a file, which needs nothing but itself and cannot be broken by what it was given."""
    text = path.read_bytes().decode("utf-8")
    page = Page(text)
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                assert value.startswith(("data:", "#")), (tag, name, value[:60])
            assert "javascript:" not in (value or "").lower() and "url(http" not in (value or "")
        if tag == "img":
            assert attributes["alt"] and re.match(r"data:image/(png|jpeg);base64,", attributes["src"])
    assert len(page.named("script")) == len(page.named("style")) == len(page.named("title")) == 1
    assert not page.named("iframe") and "@import" not in text
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for attributes in page.named("a"):
        assert attributes["href"][1:] in identifiers
    return page


def look(path, width, scheme):
    """What a browser finds in the page at a width in pixels, by "light" or "dark"."""
    folder = path.parent / f"browser-{width}-{scheme}"
    folder.mkdir()
    text = path.read_text(encoding="utf-8").replace('loading="lazy"', "")
    (folder / "page.html").write_text(
        text.replace("<head>", "<head>" + WATCH, 1).replace("</body>", MEASURE + "</body>", 1), "utf-8")
    frame = folder / "frame.html"
    frame.write_text(FRAME % width, "utf-8")
    result = subprocess.run(
        [
            CHROMIUM, "--no-sandbox", "--headless=new", "--disable-gpu", "--hide-scrollbars", "--dump-dom",
            f"--user-data-dir={folder / 'profile'}", f"--window-size={width + 200},900", "--enable-logging=stderr",
            f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}", frame.resolve().as_uri(),
        ],
        capture_output=True, timeout=120)
    written = result.stdout.decode("utf-8", "replace")
    messages = [line for line in result.stderr.decode("utf-8", "replace").splitlines() if "CONSOLE" in line]
    assert messages == []
    found = re.search(r'data-found="([^"]*)"', written)
    assert found, written[:500] + result.stderr.decode("utf-8", "replace")[-500:]
    return json.loads(found[1].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def check_in_browser(path):
    """At the widths of a phone and a desktop, light and dark: nothing fails, sticks out, is faint or tiny."""
    for width in (390, 1280):
        for scheme in ("light", "dark"):
            found = look(pathlib.Path(path), width, scheme)
            assert found["width"] == width and found["dark"] == (scheme == "dark")
            assert found["scroll"] <= width, found["wide"][:5]
            assert found["failures"] == [] and found["faint"] == [] and found["small"] == [] and not found["broken"], (
                width, scheme, found)
