"""Which files the sandbox KIE keeps."""

from sandbox.kie.file import File, FileStore


def stored(size: int) -> File:
    return File(content=bytes(size), mime_type="image/png", ttl_s=60)


def test_the_oldest_files_go_when_there_are_too_many_bytes() -> None:
    files = FileStore("http://kie", capacity_bytes=100)
    for name in ("a", "b", "c"):
        files.put(name, stored(40))
    assert [name for name in "abc" if files.get(name)] == ["b", "c"]
    files.put("b", stored(10))
    files.put("d", stored(50))
    assert [name for name in "bcd" if files.get(name)] == ["b", "c", "d"]


def test_the_newest_file_stays_however_large_it_is() -> None:
    files = FileStore("http://kie", capacity_bytes=100)
    files.put("small", stored(40))
    link = files.put("large", stored(400))
    assert files.find(link)
    assert files.get("small") is None
    files.clear()
    files.put("next", stored(100))
    assert files.get("next")
