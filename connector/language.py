"""Numbers, durations and dates as English and French readers write them. No locale is needed on the machine.

French separates thousands with a narrow no-break space and sets one before the percent sign (as CLDR does), and keeps
a number and its unit on one line with a no-break space.
"""

from __future__ import annotations

from datetime import date, datetime, tzinfo

from connector.models import Instant

NBSP, NARROW = "\u00a0", "\u202f"
GROUP = {"en": ",", "fr": NARROW}
POINT = {"en": ".", "fr": ","}
PERCENT = {"en": "%", "fr": f"{NARROW}%"}
SPACE = {"en": " ", "fr": NBSP}
DAY_UNIT = {"en": "d", "fr": "j"}
DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
}
MONTHS = {
    "en": (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
    "fr": (
        "janvier", "février", "mars", "avril", "mai", "juin",
        "juillet", "août", "septembre", "octobre", "novembre", "décembre",
    ),
}  # fmt: skip


def number(value: float, language: str, digits: int = 0) -> str:
    """1234.5 → "1,234.5" or "1 234,5"; a minus is a true minus sign."""
    text = f"{abs(value):,.{digits}f}".translate({ord(","): GROUP[language], ord("."): POINT[language]})
    return f"−{text}" if value < 0 and any(c in "123456789" for c in text) else text


def percent(value: float, language: str, digits: int = 1) -> str:
    """82.5 (already on 0–100) → "82.5%" or "82,5 %"."""
    return number(value, language, digits) + PERCENT[language]


def duration(seconds: float, language: str, *, days: bool = True) -> str:
    """Seconds → "45 s", "4 min 30 s", "42 min", "1 h 04 min", "2 d 3 h"; the finest unit shown is rounded.

    ``days`` False stays with hours: a day of business time is not 24 hours long.
    """
    if seconds < 0:
        return "−" + duration(-seconds, language, days=days)
    return " ".join(f"{amount}{SPACE[language]}{unit}" for amount, unit in _parts(seconds, language, days)).replace(
        " ", SPACE[language]
    )


def _parts(seconds: float, language: str, days: bool) -> list[tuple[str, str]]:
    whole = round(seconds)
    if whole < 60:
        return [(str(whole), "s")]
    if whole < 600:
        return [(str(whole // 60), "min"), *([(f"{whole % 60:02}", "s")] if whole % 60 else [])]
    minutes = round(seconds / 60)
    if minutes < 60:
        return [(str(minutes), "min")]
    if minutes < 1440 or not days:
        return [(number(minutes // 60, language), "h"), *([(f"{minutes % 60:02}", "min")] if minutes % 60 else [])]
    hours = round(seconds / 3600)
    if hours < 240:
        return [(str(hours // 24), DAY_UNIT[language]), *([(str(hours % 24), "h")] if hours % 24 else [])]
    return [(number(round(seconds / 86400), language), DAY_UNIT[language])]


def day(when: date, language: str, *, weekday: bool = True) -> str:
    """ "Friday 20 November 2026" or "vendredi 20 novembre 2026"; the first of a month is "1er" in French."""
    first = "1er" if language == "fr" and when.day == 1 else str(when.day)
    text = f"{first} {MONTHS[language][when.month - 1]} {when.year}"
    return f"{DAYS[language][when.weekday()]} {text}" if weekday else text


def moment(instant: Instant, zone: tzinfo, language: str) -> str:
    """An instant in a zone: "20 November 2026 14:24" or "20 novembre 2026 à 14:24"."""
    local = datetime.fromtimestamp(instant / 1000, zone)
    at = " à " if language == "fr" else " "
    return f"{day(local.date(), language, weekday=False)}{at}{local:%H:%M}"
