"""The names of modules and public classes are made of the glossary's words and of ordinary ones."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "generation_client",
    "generation_svc",
    "edge_bot",
    "callback_gateway",
    "devrun",
    "runtime",
)
ORDINARY = frozenset(
    """
    account acknowledge action active address admission again album all answer answers anybody
    anyway app atelier away backoff batch body bot bound bounded bounds bucket buckets busy
    button byte bytes cache call cancel cap caps certificate certificates change channel chat
    child children choice choices clean client clock closer column command condition conflict
    consistency content context conversation convert core count create customer cut data database
    dead deadline deadlines decoder decoding deferred delay delays denied dependencies devrun
    directory disabled discard dispatch dispatcher document domain download draining edit
    embedded ended endpoint entry environment error examination examine examined examiner
    example exchange exif exists exposure failed failure fallback fetch fetcher field file filter
    files folder follow follower form format formatter found fresh generate generation gif grant
    group grpc
    handle handler handover health home host hostname http identifier impossible input interceptor
    internet interrupt invalid item jpeg keep key keyword kie kind known language large late
    launcher layout life lifecycle limit limited limits linger lingering link links list load
    local localized
    log long lost main maintenance many measured mention message messages meter method metric
    migrate migration missed missing name no not notice object of offset offsets on operator option
    options original out outage outcome outgoing overloaded page parse part path pause payload peer
    permission persist pick picture place plain png poll polling pool port post postgres press
    price pricing printer problem process profile program programs progress prompt protocol
    query range reached read reader readiness reason recent record redact redacting redaction
    redactor reflection refused register rejected render renderer renewal renewed repetition replay
    report reporter resolver resource responses result reused role route row rpc rule run runtime
    schema scratch secret secrets send sender sent server service servicer set setting
    settings shape show shutdown signature signed silent slot slots sniff source spool spooled stage
    stale start state steps stopped storage store stored stream svc table telegram text texts
    thread timeout timeouts tls token too transaction transition transport trouble tried try turns
    unauthenticated unavailable unblocked undeliverable unit unreachable unread unreadable
    unsupported update updates upgrade use usecase validate value verdict version view
    violation waiting walk wanted watch web webhook webp welcome window wiring
    words writer wrong audio photo receiver video
    build success openapi self shipped changed check current difference fixed layered length line
    member parsed same
    seconds seed size accept
    add ask blocked branch candidate clip closed credits drop insufficient low mismatch priced spent
    daily free off sales terms used earlier family finish question rules shelf take taken typed
    agree at buy credit invoice menu once partner resume support uncredited
    """.split()  # noqa: SIM905 - a list of them would be as long as a page
)
"""Words that every programmer knows, or that name a protocol or a product."""
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def words_of(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def glossary() -> frozenset[str]:
    text = (ROOT / "docs/glossary.md").read_text()
    entries = re.findall(r"^\| (.*?) \|", text, flags=re.MULTILINE)
    return frozenset(word for entry in entries for word in re.findall(r"[a-z]+", entry))


def names_in(path: Path) -> Iterator[str]:
    yield path.parent.name if path.stem == "__init__" else path.stem
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_made_of_known_words(package: str) -> None:
    known = glossary() | ORDINARY
    unknown = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in names_in(path)
        if any(word not in known and word.rstrip("s") not in known for word in words_of(name))
    }
    assert unknown == set(), "say what it means in docs/glossary.md, or use a word that is there"


def test_every_entry_of_the_glossary_says_what_it_means() -> None:
    text = (ROOT / "docs/glossary.md").read_text()
    rows = re.findall(r"^\| (\*\*.*) \| (.*) \|$", text, flags=re.MULTILINE)
    assert len(rows) >= 40
    assert all(len(meaning.split()) > 3 for _, meaning in rows)
