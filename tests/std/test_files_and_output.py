"""Builtins that touch the world: output, files, time, randomness; and the async twins."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import trio
import trio.testing

from somac.frontend.builtins import BUILTINS, HIGHER_ORDER, NATIVE, NATIVE_SHARED, suggest
from somart import native, std
from somart.errors import SomaError
from somart.values import Lambda, Value, text


def test_print_joins_texts_by_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    std.print(1, "a", ["b"], None)
    std.print()
    assert capsys.readouterr().out == '1 a ["b"] null\n\n'


def test_files_come_back_as_written(tmp_path: Path) -> None:
    path = str(tmp_path / "note.txt")
    assert std.write_file(path, "é\r\n{x}") is True
    assert std.read_file(path) == "é\r\n{x}"
    assert std.load_template(path, "x", "{y}", "y", 5) == "é\r\n5"
    std.write_file(path, [1, "a"])
    assert std.read_file(path) == '[1, "a"]'


def test_failures_of_files_are_values(tmp_path: Path) -> None:
    assert std.read_file(str(tmp_path)) == {"error": "Is a directory (os error 21)"}
    assert std.write_file("a\0b", 1) == {"error": "file name contained an unexpected NUL byte"}
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert std.read_file(str(tmp_path / "binary")) == {
        "error": "stream did not contain valid UTF-8"
    }


def test_csv_round_trip(tmp_path: Path) -> None:
    path = str(tmp_path / "rows.csv")
    rows: list[Value] = [{"a": 1, "b": "x"}, 5, {"b": 2.5, "c": 9}, {"a": 'p"q,', "b": None}]
    assert std.write_csv(path, rows) is True
    assert Path(path).read_text() == 'a,b\n1,x\n,2.5\n"p""q,",null\n'
    std.write_csv(path, [])
    assert std.read_csv(path) == []
    Path(path).write_text("a, b ,c\r\n\n 1 ,2.5,x\n7\n")
    assert text(std.read_csv(path)) == (
        '[{"a": 1, "b": 2.5, "c": "x"}, {"a": 7, "b": "", "c": ""}]'
    )


def test_read_files_skips_what_is_no_text(tmp_path: Path) -> None:
    for name, content in (("b", b"2"), ("a", b"1"), ("bad", b"\xff"), ("c", b"3")):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    found = std.read_files(str(tmp_path), 3)
    assert [f["content"] for f in found] == ["1", "2", "3"]
    assert len(std.read_files(str(tmp_path), 1)) == 1


def test_time_moves_and_agrees() -> None:
    seconds, milliseconds = std.now(), std.now_ms()
    assert abs(milliseconds / 1000 - seconds) < 2
    assert std.today() in (std.format_date(seconds), std.format_date(seconds + 1))


def test_random_stays_in_its_range() -> None:
    assert {std.random(3) for _ in range(200)} == {0, 1, 2}
    assert {std.random(-1, 1) for _ in range(200)} == {-1, 0}
    assert (std.random(0), std.random(5, 5), std.random(5, 2)) == (0, 5, 5)
    draws = [std.random() for _ in range(50)]
    assert all(0 <= x < 1 and round(x, 6) == x for x in draws)


def test_html_pages_get_htmx_once() -> None:
    page = std.html('<html><head></head><body hx-get="/"></body></html>')["_body"]
    assert page.index("htmx.org@2.0.4") < page.index("</head>")
    assert std.html(page)["_body"] == page
    plain = "<p hx-get='/'></p>"
    assert std.html(plain)["_body"] == plain
    bare = std.html("<!doctype html><body hx-get='/'>")["_body"]
    assert bare == (
        '<!doctype html><script src="https://unpkg.com/htmx.org@2.0.4"></script>'
        "<body hx-get='/'>"
    )


def test_errors_of_lambdas_arrive_as_raised() -> None:
    def fail(_: Value) -> Value:
        raise SomaError("division by zero")

    for name in ("map", "filter", "find", "any", "all", "count"):
        with pytest.raises(SomaError, match=r"^division by zero$"):
            getattr(std, name)([1], Lambda("x", fail))


async def _positive(x: Value) -> Value:
    await trio.lowlevel.checkpoint()
    return x > 0


async def _sum(pair: Value) -> Value:
    await trio.lowlevel.checkpoint()
    return pair["acc"] + pair["val"]


def test_async_twins_give_what_their_namesakes_give() -> None:
    async def twins(xs: list[Value]) -> None:
        function = Lambda("x", _positive)
        for name in ("map", "filter", "find", "any", "all", "count"):
            expected = getattr(std, name)(xs, Lambda("x", lambda x: x > 0))
            assert await getattr(std, f"{name}_async")(xs, function) == expected
        assert await std.reduce_async(xs, 5, Lambda("p", _sum)) == sum(xs) + 5
        assert await std.map_async("a", 1) == {"a": 1}

    for xs in ([], [1, -2, 3], [-1, 0], [4]):
        trio.run(twins, xs)


def test_plain_functions_serve_as_lambdas() -> None:
    assert std.map([1, 2], lambda x: x * 2) == [2, 4]


def test_left_out_families_name_themselves() -> None:
    with pytest.raises(SomaError, match=r"think\(\) is not supported: model calls"):
        std.think("hi")
    with pytest.raises(SomaError, match=r"svd_lowrank.*linear algebra and risk"):
        std.svd_lowrank([[1.0]], {})


def test_the_catalogue_and_the_library_agree() -> None:
    asynchronous = {name for name, b in BUILTINS.items() if b.effect == "async"}
    of_cells = {name for name, b in BUILTINS.items() if b.effect == "context"}
    for name in BUILTINS.keys() - of_cells:
        function = getattr(std, "with_" if name == "with" else name)
        assert inspect.iscoroutinefunction(function) == (name in asynchronous)
    for name in HIGHER_ORDER:
        assert inspect.iscoroutinefunction(getattr(std, f"{name}_async"))
    for name in (*NATIVE, *NATIVE_SHARED):
        assert callable(getattr(native, name))


@pytest.mark.parametrize(
    ("name", "handlers", "expected"),
    [
        ("lenn", (), "len"),
        ("count", (), "count"),
        ("to_strin", (), "to_string"),
        ("pric", ("price",), "price"),
        ("tup", ("top", "tap"), "top"),
        ("zzzzzzzz", (), None),
        ("valid_transitions_of_all", (), "valid_transitions"),
    ],
)
def test_suggestions(name: str, handlers: tuple[str, ...], expected: str | None) -> None:
    assert suggest(name, handlers) == expected


def test_sleep_waits_in_virtual_time() -> None:
    async def main() -> float:
        start = trio.current_time()
        await std.sleep(60_000)
        await std.sleep()
        await std.sleep(-5)
        return trio.current_time() - start

    clock = trio.testing.MockClock(autojump_threshold=0)
    assert trio.run(main, clock=clock) == pytest.approx(60)
