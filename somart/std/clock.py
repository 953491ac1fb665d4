"""Time (builtins §9). Instants are Unix time, dates are UTC."""

from __future__ import annotations

import time

from ..tape import observe
from ..values.kinds import Value
from ..values.numbers import as_int

SECONDS_A_DAY = 86_400


def now(*_: Value) -> int:
    """Unix time in seconds."""
    return int(observe("now", _seconds))


def now_ms(*_: Value) -> int:
    """Unix time in milliseconds."""
    return int(observe("now_ms", _milliseconds))


def today(*_: Value) -> str:
    """The UTC date, as `YYYY-MM-DD`."""
    return str(observe("today", lambda: format_date(_seconds())))


def _seconds() -> int:
    return int(time.time())


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000


def format_date(*args: Value) -> str:
    """The UTC date of an instant in seconds, as `YYYY-MM-DD`; `""` without argument."""
    if not args:
        return ""
    year, month, day = civil_date(as_int(args[0]) // SECONDS_A_DAY)
    return f"{year:04d}-{month:02d}-{day:02d}"


def civil_date(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day since 1970-01-01, in the Gregorian calendar without limits."""
    era, day_of_era = divmod(days + 719_468, 146_097)  # eras of 400 years begin on 1 March
    leap_days = day_of_era // 1460 - day_of_era // 36_524 + day_of_era // 146_096
    year_of_era = (day_of_era - leap_days) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    return year_of_era + era * 400 + (month <= 2), month, day


async def sleep(*args: Value) -> None:
    """Wait for so many milliseconds; not at all without argument, or for a negative one."""
    import trio

    if args:
        await trio.sleep(max(as_int(args[0]), 0) / 1000)
